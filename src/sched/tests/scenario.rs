//! What a simulated run is like.

use std::collections::BTreeMap;

use crate::sched::{Limits, Policy};
use crate::search::Stop;
use crate::values::{Device, Resources, Width};

/// Machine, policy, failures and stops of a run.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) resources: Resources,
    /// The widths of trials, in turn.
    pub(super) widths: Vec<Width>,
    pub(super) limits: Limits,
    pub(super) policy: Policy,
    pub(super) prepared: bool,
    /// Chance that a start dies, and that a trial fails by itself, in percent.
    pub(super) failing: u32,
    /// Half of the starts that die tell of their device.
    pub(super) devices_fail: bool,
    /// The trial, by its number, that brings its process down whenever it trains.
    pub(super) crashing: Option<usize>,
    /// It takes its GPU with it: what is seen is that the device failed.
    pub(super) crashing_takes_device: bool,
    /// GPUs, by number, and the chance that a pack loses them, in percent.
    pub(super) sick: BTreeMap<usize, u32>,
    /// Chance that a child does not end when it is asked to, in percent.
    pub(super) deaf: u32,
    /// Rows that fit into a memory at once, twice as many where nothing else draws from it. A trial that joins
    /// a pack takes twice the rows of one that is in it.
    pub(super) capacity: Option<usize>,
    /// The same of single GPUs, by number.
    pub(super) capacities: BTreeMap<usize, usize>,
    /// A job takes between this part of its estimate and the estimate by it.
    pub(super) noise: f64,
    /// Times of the stop requests, in ms: the second one kills.
    pub(super) stops: Vec<u64>,
    /// The rule by which adapters are compared and stopped.
    pub(super) rule: Option<Stop>,
    /// Times at which a person stops or keeps some trial, in ms.
    pub(super) orders: Vec<u64>,
}

impl Scenario {
    /// Everything is prepared, nothing fails, and jobs take what they are thought to.
    pub(super) fn calm(resources: Resources) -> Self {
        Self {
            seed: 1,
            widths: vec![resources.equal_width()],
            resources,
            limits: Limits::default(),
            policy: Policy::ONCE,
            prepared: true,
            failing: 0,
            devices_fail: false,
            crashing: None,
            crashing_takes_device: false,
            sick: BTreeMap::new(),
            deaf: 0,
            capacity: None,
            capacities: BTreeMap::new(),
            noise: 1.0,
            stops: Vec::new(),
            rule: None,
            orders: Vec::new(),
        }
    }

    /// Rows that fit into the memory of a device.
    pub(super) fn capacity(&self, device: Device) -> Option<usize> {
        let Device::Cuda { index } = device else { return self.capacity };
        self.capacities.get(&index).copied().or(self.capacity)
    }
}
