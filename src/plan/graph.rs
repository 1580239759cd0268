//! Owns which jobs a run consists of and what each one needs:
//! prepare data → train packs → summarise configurations → report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::content::ContentHash;
use crate::job::{Pack, Prepare, Work, store_key};
use crate::plan::pack::{self, Limits};
use crate::plan::{Estimate, Job, JobGraph, JobId, JobKey, cost};
use crate::spec::SweepSpec;
use crate::trial::{ConfigurationId, Trial};

/// What earlier runs have left, so that it need not be made again.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    /// Whether a token store is in place.
    pub store: &'a dyn Fn(ContentHash) -> bool,
    /// Whether a configuration's summary is in place.
    pub summary: &'a dyn Fn(ConfigurationId) -> bool,
}

impl Present<'_> {
    /// A sweep that was never started.
    pub const NOTHING: Present<'static> = Present { store: &|_| false, summary: &|_| false };
    /// A sweep that has made everything but its trials.
    pub const EVERYTHING: Present<'static> = Present { store: &|_| true, summary: &|_| true };
}

/// The jobs that bring the trials `todo` of a sweep to a report in `folder`, without those whose
/// work is `present`. Jobs stand in the order in which they can start.
///
/// A configuration is summarised over all of its folds, those done in an earlier run included.
#[must_use]
pub fn build(sweep: &SweepSpec, todo: &[Trial], folder: &Path, present: Present<'_>) -> JobGraph {
    let mut graph = JobGraph::new();
    let stores = push_prepares(&mut graph, sweep, todo, present);
    let training = push_trains(&mut graph, sweep, todo, &stores);
    let summaries = push_summaries(&mut graph, sweep, &training, present);
    let work = Work::Report { folder: folder.to_path_buf() };
    push(&mut graph, "report".to_owned(), work, summaries);
    graph
}

fn push(graph: &mut JobGraph, key: String, work: Work, needs: Vec<JobId>) -> JobId {
    let estimate = cost::estimate(&work);
    graph.push(Job { key: JobKey(key), work, needs, estimate })
}

/// One job per distinct store, in the order of the trials that need them first.
fn push_prepares(
    graph: &mut JobGraph,
    sweep: &SweepSpec,
    todo: &[Trial],
    present: Present<'_>,
) -> BTreeMap<ContentHash, JobId> {
    let mut seen = BTreeSet::new();
    let mut stores = BTreeMap::new();
    for trial in todo {
        let (task, model) = (sweep.task(&trial.configuration), sweep.model(&trial.configuration));
        if !seen.insert((&task.name, model.tokenizer_content)) {
            continue;
        }
        let store = store_key(task, model.tokenizer_content);
        if !(present.store)(store) {
            let prepare = Prepare { store, task: Arc::clone(task), tokenizer: model.tokenizer.clone() };
            let id = push(graph, format!("prepare-{store}"), Work::Prepare(Box::new(prepare)), Vec::new());
            stores.insert(store, id);
        }
    }
    stores
}

/// One job per pack, and which of them each configuration's trials are in.
fn push_trains(
    graph: &mut JobGraph,
    sweep: &SweepSpec,
    todo: &[Trial],
    stores: &BTreeMap<ContentHash, JobId>,
) -> HashMap<ConfigurationId, BTreeSet<JobId>> {
    let mut training: HashMap<ConfigurationId, BTreeSet<JobId>> = HashMap::new();
    // Folds cost alike, and counting a model's parameters is most of an estimate.
    let mut estimates: HashMap<Vec<ConfigurationId>, Estimate> = HashMap::new();
    for slots in pack::packs(todo, Limits::default()) {
        let task = Arc::clone(sweep.task(&slots[0].configuration));
        let model = sweep.model(&slots[0].configuration).clone();
        let store = store_key(&task, model.tokenizer_content);
        let key = JobKey::training(&slots);
        let configurations: Vec<_> = slots.iter().map(|trial| trial.configuration.id).collect();
        let work = Work::Train(Box::new(Pack { task, model, store, slots }));
        let needs = stores.get(&store).copied().into_iter().collect();
        let estimate = *estimates.entry(configurations.clone()).or_insert_with(|| cost::estimate(&work));
        let id = graph.push(Job { key, work, needs, estimate });
        for configuration in configurations {
            training.entry(configuration).or_default().insert(id);
        }
    }
    training
}

/// One job per configuration that has something to train or whose summary a crash has left unwritten,
/// in grid order.
fn push_summaries(
    graph: &mut JobGraph,
    sweep: &SweepSpec,
    training: &HashMap<ConfigurationId, BTreeSet<JobId>>,
    present: Present<'_>,
) -> Vec<JobId> {
    let mut summaries = Vec::new();
    for configuration in &sweep.configurations {
        let needs: Vec<JobId> = training.get(&configuration.id).into_iter().flatten().copied().collect();
        if needs.is_empty() && (present.summary)(configuration.id) {
            continue;
        }
        let folds = 0..sweep.splitting.splits();
        let trials = folds.map(|fold| Trial::new(configuration, sweep.splitting, fold).id).collect();
        let work = Work::Summarise { configuration: configuration.id, trials };
        let key = format!("summarise-{}", configuration.id);
        summaries.push(push(graph, key, work, needs));
    }
    summaries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    fn keys(graph: &JobGraph, prefix: &str) -> Vec<JobId> {
        graph.iter().filter(|(_, job)| job.key.0.starts_with(prefix)).map(|(id, _)| id).collect()
    }

    #[test]
    fn a_fresh_sweep_prepares_each_store_once() {
        let sweep = example::sweep();
        let trials = sweep.trials();
        let graph = build(&sweep, &trials, Path::new("reports/x"), Present::NOTHING);
        // Two of the three models share a tokenizer.
        assert_eq!(keys(&graph, "prepare-").len(), 2);
        assert_eq!(keys(&graph, "train-").len(), trials.len());
        assert_eq!(keys(&graph, "summarise-").len(), sweep.configurations.len());
        let (last, report) = graph.iter().last().unwrap();
        assert_eq!(report.key.0, "report");
        assert_eq!(report.needs, keys(&graph, "summarise-"));
        assert_eq!(last.0 as usize + 1, graph.len());
        for id in keys(&graph, "train-") {
            let job = graph.job(id);
            let Work::Train(pack) = &job.work else { panic!("{} does not train", job.key) };
            let [prepare] = job.needs[..] else { panic!("{} needs {:?}", job.key, job.needs) };
            let Work::Prepare(prepare) = &graph.job(prepare).work else { panic!("not a prepare") };
            assert_eq!(prepare.store, pack.store);
            assert_eq!(job.key.0, format!("train-{}", pack.slots[0].id));
        }
    }

    #[test]
    fn keys_are_unique_and_the_same_in_every_run() {
        let sweep = example::sweep();
        let all = build(&sweep, &sweep.trials(), Path::new("r"), Present::NOTHING);
        let rest = build(&sweep, &sweep.trials()[4..], Path::new("r"), Present::NOTHING);
        let names: BTreeSet<_> = all.iter().map(|(_, job)| job.key.clone()).collect();
        assert_eq!(names.len(), all.len());
        assert!(rest.iter().all(|(_, job)| names.contains(&job.key)));
    }

    #[test]
    fn a_continued_sweep_has_only_what_is_left() {
        let sweep = example::sweep();
        let todo = &sweep.trials()[5..6];
        let graph = build(&sweep, todo, Path::new("r"), Present::EVERYTHING);
        let [train, summarise, report] = [0, 1, 2].map(|n| graph.job(JobId(n)));
        assert_eq!(graph.len(), 3);
        assert!(train.needs.is_empty(), "the store is there");
        let Work::Summarise { configuration, trials } = &summarise.work else { panic!("no summary") };
        assert_eq!(*configuration, todo[0].configuration.id);
        assert_eq!(trials.len(), sweep.splitting.splits(), "earlier folds are summarised too");
        assert_eq!(report.needs, vec![JobId(1)]);
        assert_eq!(build(&sweep, &[], Path::new("r"), Present::EVERYTHING).len(), 1, "the report alone");
    }

    #[test]
    fn a_summary_that_was_never_written_is_made_up_for() {
        let sweep = example::sweep();
        let missing = sweep.configurations[2].id;
        let present = Present { summary: &|id| id != missing, ..Present::EVERYTHING };
        let graph = build(&sweep, &sweep.trials()[..1], Path::new("r"), present);
        let made: Vec<_> = keys(&graph, "summarise-").into_iter().map(|id| graph.job(id)).collect();
        let keys = [sweep.configurations[0].id, missing].map(|id| format!("summarise-{id}"));
        assert_eq!(made.iter().map(|job| job.key.0.clone()).collect::<Vec<_>>(), keys);
        assert_eq!((made[0].needs.len(), made[1].needs.len()), (1, 0));
    }

    #[test]
    fn every_job_has_the_estimate_of_its_own_work() {
        let sweep = example::sweep();
        let graph = build(&sweep, &sweep.trials(), Path::new("r"), Present::NOTHING);
        assert!(graph.iter().all(|(_, job)| job.estimate == cost::estimate(&job.work)));
    }
}
