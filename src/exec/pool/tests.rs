use proptest::prelude::*;

use super::*;

/// Three one-core places, one that spans two of them, and two on a GPU; each with workers of two kinds.
fn key(number: usize) -> WorkerKey {
    let placements = [
        (Device::Cpu { slot: 0 }, vec![0]),
        (Device::Cpu { slot: 1 }, vec![1]),
        (Device::Cpu { slot: 2 }, vec![2]),
        (Device::Cpu { slot: 0 }, vec![0, 1]),
        (Device::Cuda { index: 0 }, vec![3]),
        (Device::Cuda { index: 0 }, vec![4]),
    ];
    let (device, cores) = placements[number / 2].clone();
    WorkerKey {
        program: (1, 1, 1, 1),
        placement: Placement { device, cores },
        environment: vec![("OMP_NUM_THREADS", "1".to_owned())],
        loads: Some(ContentHash::of_bytes(&[u8::try_from(number % 2).unwrap()])),
    }
}

fn job(number: u64) -> JobKey {
    JobKey::Train(format!("{number:016x}").parse().unwrap())
}

#[test]
fn a_worker_is_given_a_job_only_where_a_new_one_would_be_started_alike() {
    let alike = key(0);
    let unlike = [
        WorkerKey { program: (1, 1, 1, 2), ..key(0) },
        WorkerKey { placement: key(2).placement, ..key(0) },
        WorkerKey { environment: Vec::new(), ..key(0) },
        WorkerKey { loads: key(1).loads, ..key(0) },
    ];
    let mut pool = Pool::default();
    let id = pool.add(alike.clone(), job(0));
    assert_eq!(pool.reuse(&alike, job(1)), None, "it is busy");
    assert_eq!(pool.rest(id), Some(job(0)));
    for key in &unlike {
        assert_eq!(pool.reuse(key, job(1)), None);
    }
    assert_eq!(pool.reuse(&alike, job(1)), Some(id));
    assert_eq!((pool.at(job(1)), pool.is_busy()), (Some(id), true));
    assert_eq!(pool.remove(id), Some(job(1)));
    assert_eq!((pool.at(job(1)), pool.is_busy()), (None, false));
}

/// What happens to workers, as an executor sees it.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A job with this key starts, if its place is free.
    Starts(usize),
    /// The worker at this position, counted around, ends its job and stays.
    Rests(usize),
    /// It is gone.
    Goes(usize),
    /// Memory is short.
    Clears,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..12_usize).prop_map(Happens::Starts),
        3 => (0..8_usize).prop_map(Happens::Rests),
        2 => (0..8_usize).prop_map(Happens::Goes),
        1 => Just(Happens::Clears),
    ]
}

fn start(pool: &mut Pool, key: &WorkerKey, job: JobKey) {
    if let Some(id) = pool.reuse(key, job) {
        assert_eq!(pool.workers[&id].key, *key);
        return;
    }
    for id in pool.dismiss(|theirs| theirs.meets(key)) {
        assert_eq!(pool.workers[&id].state, State::Ending);
    }
    pool.add(key.clone(), job);
}

proptest! {
    #[test]
    fn no_core_is_used_twice_and_every_job_ends_once(story in prop::collection::vec(happens(), 0..60)) {
        let (mut pool, mut open, mut jobs) = (Pool::default(), Vec::new(), 0);
        let settle = |open: &mut Vec<JobKey>, ended: Option<JobKey>| {
            if let Some(job) = ended {
                let at = open.iter().position(|open| *open == job);
                open.remove(at.expect("a job ends once"));
            }
        };
        for what in story {
            let nth = |pool: &Pool, n: usize| {
                let count = pool.workers.len();
                (count > 0).then(|| *pool.workers.keys().nth(n % count).unwrap())
            };
            match what {
                Happens::Starts(number) => {
                    let key = key(number);
                    let taken = |worker: &Worker| {
                        let busy = matches!(worker.state, State::Busy(_));
                        busy && worker.key.meets(&key)
                    };
                    if !pool.workers.values().any(taken) {
                        start(&mut pool, &key, job(jobs));
                        open.push(job(jobs));
                        jobs += 1;
                    }
                }
                Happens::Rests(n) => {
                    if let Some(id) = nth(&pool, n) {
                        settle(&mut open, pool.rest(id));
                    }
                }
                Happens::Goes(n) => {
                    if let Some(id) = nth(&pool, n) {
                        settle(&mut open, pool.remove(id));
                    }
                }
                Happens::Clears => {
                    pool.dismiss(|_| true);
                    prop_assert!(pool.workers.values().all(|worker| worker.state != State::Idle));
                }
            }
            let there: Vec<&Worker> =
                pool.workers.values().filter(|worker| worker.state != State::Ending).collect();
            for (n, one) in there.iter().enumerate() {
                let meets = |other: &&Worker| one.key.meets(&other.key);
                prop_assert!(!there[n + 1..].iter().any(meets));
            }
            prop_assert!(open.iter().all(|job| pool.at(*job).is_some()));
            prop_assert_eq!(pool.is_busy(), !open.is_empty());
        }
    }
}
