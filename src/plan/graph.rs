//! Owns which jobs a run consists of and what each one needs:
//! prepare data → train packs → report.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::cost;
use crate::cost::{Prices, Speed};
use crate::families::ModelSpec;
use crate::job::{Pack, Prepare, Work, store_key};
use crate::plan::pack::{self, Packed, Room};
use crate::plan::{Job, JobGraph, JobId};
use crate::sweep::SweepSpec;
use crate::tasks::Task;
use crate::values::{ContentHash, Trial};

/// What earlier runs have left, so that it need not be made again.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    /// Whether a token store is in place.
    pub store: &'a dyn Fn(ContentHash) -> bool,
}

impl Present<'_> {
    /// A sweep that was never started.
    pub const NOTHING: Present<'static> = Present { store: &|_| false };
    /// A sweep that has made everything but its trials.
    pub const EVERYTHING: Present<'static> = Present { store: &|_| true };
}

/// The jobs that bring the trials `todo` of a sweep to a report in `folder`, without those whose
/// work is `present`, packed for the `room` there is. Jobs stand in the order in which they can start.
#[must_use]
pub fn build(
    sweep: &SweepSpec,
    todo: &[Trial],
    folder: &Path,
    present: Present<'_>,
    room: Room<'_>,
) -> JobGraph {
    let mut builder = Builder { sweep, graph: JobGraph::new(), speed: Speed::of(room.places) };
    let bases = builder.push_prepares(todo, present);
    let training = builder.push_trains(pack::packs(&mut Prices::new(sweep), todo, room), &bases);
    builder.push(Work::Report { folder: folder.to_path_buf() }, training);
    builder.graph
}

/// What all packs of a task and a model have in common.
struct Base {
    task: Arc<Task>,
    model: Arc<ModelSpec>,
    store: ContentHash,
    /// The job that makes the store, where it is not there.
    prepare: Option<JobId>,
}

/// Bases by the names of task and model.
type Bases<'a> = HashMap<(&'a str, &'a str), Base>;

struct Builder<'a> {
    sweep: &'a SweepSpec,
    graph: JobGraph,
    speed: Speed,
}

impl Builder<'_> {
    fn push(&mut self, work: Work, needs: Vec<JobId>) -> JobId {
        let estimate = cost::estimate(&work, self.speed);
        self.graph.push(Job { key: work.key(), work, needs, estimate })
    }

    /// One job per distinct store, in the order of the trials that need them first.
    fn push_prepares<'t>(&mut self, todo: &'t [Trial], present: Present<'_>) -> Bases<'t> {
        let mut bases = Bases::new();
        let mut stores: HashMap<ContentHash, Option<JobId>> = HashMap::new();
        let sweep = self.sweep;
        for Trial { configuration, .. } in todo {
            let names = (configuration.task.as_str(), configuration.model.as_str());
            if bases.contains_key(&names) {
                continue;
            }
            let (task, model) = (sweep.task(configuration), sweep.model(configuration));
            let store = store_key(task, model.tokenizer_content);
            let prepare = *stores.entry(store).or_insert_with(|| {
                let prepare = Prepare { store, task: Arc::clone(task), tokenizer: model.tokenizer.clone() };
                let work = Work::Prepare(Box::new(prepare));
                (!(present.store)(store)).then(|| self.push(work, Vec::new()))
            });
            let base = Base { task: Arc::clone(task), model: Arc::new(model.clone()), store, prepare };
            bases.insert(names, base);
        }
        bases
    }

    /// One job per pack.
    fn push_trains(&mut self, packs: Vec<Packed>, bases: &Bases<'_>) -> Vec<JobId> {
        let train = |Packed { slots, estimate }: Packed| {
            let first = Arc::clone(&slots[0].configuration);
            let Base { task, model, store, prepare } = &bases[&(first.task.as_str(), first.model.as_str())];
            let pack = Pack { task: Arc::clone(task), model: Arc::clone(model), store: *store, slots };
            let (work, needs) = (Work::Train(Box::new(pack)), prepare.iter().copied().collect());
            self.graph.push(Job { key: work.key(), work, needs, estimate })
        };
        packs.into_iter().map(train).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::example;
    use crate::plan::pack::Limits;
    use crate::values::{Device, JobKey, Placement};

    fn place() -> Placement {
        Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1] }
    }

    /// The jobs on one place.
    fn build(sweep: &SweepSpec, todo: &[Trial], present: Present<'_>) -> JobGraph {
        let room = Room { places: &[place()], limits: Limits::default() };
        super::build(sweep, todo, Path::new("reports/x"), present, room)
    }

    fn keys(graph: &JobGraph, prefix: &str) -> Vec<JobId> {
        graph.iter().filter(|(_, job)| job.key.to_string().starts_with(prefix)).map(|(id, _)| id).collect()
    }

    #[test]
    fn a_fresh_sweep_prepares_each_store_once() {
        let sweep = example::sweep();
        let trials = sweep.trials();
        let graph = build(&sweep, &trials, Present::NOTHING);
        // Two of the three models share a tokenizer.
        assert_eq!(keys(&graph, "prepare-").len(), 2);
        let trained: Vec<_> = graph.iter().flat_map(|(_, job)| job.trials()).collect();
        assert_eq!(trained.iter().collect::<BTreeSet<_>>().len(), trials.len());
        assert_eq!(trained.len(), trials.len());
        // Two adapters on the same base make one pack per fold.
        assert!(keys(&graph, "train-").len() <= trials.len() - 3);
        let (last, report) = graph.iter().last().unwrap();
        assert_eq!(report.key, JobKey::Report);
        assert_eq!(report.needs, keys(&graph, "train-"));
        assert_eq!(last.0 as usize + 1, graph.len());
        for id in keys(&graph, "train-") {
            let job = graph.job(id);
            let Work::Train(pack) = &job.work else { panic!("{} does not train", job.key) };
            let [prepare] = job.needs[..] else { panic!("{} needs {:?}", job.key, job.needs) };
            let Work::Prepare(prepare) = &graph.job(prepare).work else { panic!("not a prepare") };
            assert_eq!(prepare.store, pack.store);
            assert_eq!(job.key, JobKey::Train(pack.slots[0].id));
        }
    }

    #[test]
    fn keys_are_unique_and_the_same_sweep_gives_the_same_graph() {
        let sweep = example::sweep();
        let all = build(&sweep, &sweep.trials(), Present::NOTHING);
        let rest = build(&sweep, &sweep.trials()[4..], Present::NOTHING);
        for graph in [&all, &rest] {
            let names: BTreeSet<_> = graph.iter().map(|(_, job)| job.key).collect();
            assert_eq!(names.len(), graph.len());
        }
        assert_eq!(all, build(&sweep, &sweep.trials(), Present::NOTHING));
    }

    #[test]
    fn a_continued_sweep_has_only_what_is_left() {
        let sweep = example::sweep();
        let todo = &sweep.trials()[5..6];
        let graph = build(&sweep, todo, Present::EVERYTHING);
        let [train, report] = [0, 1].map(|n| graph.job(JobId(n)));
        assert_eq!(graph.len(), 2);
        assert!(train.needs.is_empty(), "the store is there");
        assert_eq!(report.needs, [JobId(0)]);
        assert_eq!(build(&sweep, &[], Present::EVERYTHING).len(), 1, "the report alone");
    }

    #[test]
    fn every_job_has_the_estimate_of_its_own_work() {
        let sweep = example::sweep();
        let graph = build(&sweep, &sweep.trials(), Present::NOTHING);
        let speed = Speed::of(&[place()]);
        assert!(graph.iter().all(|(_, job)| job.estimate == cost::estimate(&job.work, speed)));
    }
}
