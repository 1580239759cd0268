//! Owns the notation in which a sweep asks for devices. Knows no machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The allowed device requests, for messages.
pub const ALLOWED: &str = "`auto`, `cpu`, `cpu:N` (N packs at a time), `cuda` (every GPU), `cuda:0` or \
                                  `cuda:0,2` (by index) or `gpus:N` (any N of them)";

/// Which devices a sweep asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceRequest {
    /// Every visible GPU that is idle, or the CPU where there is none.
    Auto,
    /// The CPU, for this many packs at a time, on equally many cores each.
    Cpu(usize),
    /// This many GPUs; all of them where absent. Recorded under the name that `cuda:N` had when it meant a
    /// number of GPUs.
    #[serde(rename = "cuda")]
    Gpus(Option<usize>),
    /// The GPUs with these indices, in torch's numbering of the visible ones.
    Indices(Vec<usize>),
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || match advice(text) {
            Some(advice) => format!("unknown devices `{text}`: {advice}; allowed: {ALLOWED}"),
            None => format!("unknown devices `{text}`; allowed: {ALLOWED}"),
        };
        let text = text.trim();
        let (kind, which) = text.split_once(':').map_or((text, None), |(kind, which)| (kind, Some(which)));
        let count = |text: &str| text.parse().ok().filter(|count| *count > 0);
        match (kind, which) {
            ("auto", None) => Some(Self::Auto),
            ("cpu", None) => Some(Self::Cpu(1)),
            ("cpu", Some(slots)) => count(slots).map(Self::Cpu),
            ("cuda" | "gpu" | "gpus", None) => Some(Self::Gpus(None)),
            ("gpus", Some(gpus)) => count(gpus).map(|gpus| Self::Gpus(Some(gpus))),
            ("cuda", Some(list)) => indices(list).map(Self::Indices),
            _ => None,
        }
        .ok_or_else(wrong)
    }
}

/// The indices in a list, without repetitions.
fn indices(list: &str) -> Option<Vec<usize>> {
    let mut indices = Vec::new();
    for item in list.split(',') {
        let item = item.trim();
        let index = item.strip_prefix("cuda:").unwrap_or(item).parse().ok()?;
        if indices.contains(&index) {
            return None;
        }
        indices.push(index);
    }
    Some(indices)
}

/// The correct notation, where it is clear what was meant.
#[must_use]
pub fn advice(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['[', ']', '"', '\'']).to_lowercase();
    let numbers = |list: &str| {
        indices(list).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    if let Some(list) = text.strip_prefix("gpu:").and_then(numbers) {
        return Some(format!("write `cuda:{list}` for the GPU with that index, `gpus:N` for any N of them"));
    }
    if let Some(list) = numbers(&text) {
        return Some(format!("write `cuda:{list}` to name GPUs, `cpu:N` for N packs at a time on the CPU"));
    }
    let list = text.strip_prefix("cuda:").unwrap_or_default();
    if list.split(',').count() > 1 && list.split(',').all(|item| item.trim().parse::<usize>().is_ok()) {
        return Some("name each GPU once".to_owned());
    }
    match text.split(':').next().unwrap_or_default() {
        "mps" | "xpu" | "tpu" | "hip" | "rocm" | "xla" => {
            Some("only NVIDIA GPUs and the CPU are supported".to_owned())
        }
        _ => None,
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu(slots) => write!(f, "cpu:{slots}"),
            Self::Gpus(None) => f.write_str("cuda"),
            Self::Gpus(Some(gpus)) => write!(f, "gpus:{gpus}"),
            Self::Indices(indices) => {
                let indices: Vec<String> = indices.iter().map(ToString::to_string).collect();
                write!(f, "cuda:{}", indices.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_written() {
        for text in ["auto", "cpu:1", "cpu:4", "cuda", "cuda:0", "cuda:1", "cuda:0,2", "gpus:2"] {
            assert_eq!(text.parse::<DeviceRequest>().unwrap().to_string(), text);
        }
        for (text, request) in [
            ("cpu", DeviceRequest::Cpu(1)),
            ("cuda:1", DeviceRequest::Indices(vec![1])),
            ("cuda:2, 0", DeviceRequest::Indices(vec![2, 0])),
            ("cuda:0,cuda:1", DeviceRequest::Indices(vec![0, 1])),
            ("gpu", DeviceRequest::Gpus(None)),
            ("gpus", DeviceRequest::Gpus(None)),
            ("gpus:1", DeviceRequest::Gpus(Some(1))),
        ] {
            assert_eq!(text.parse(), Ok(request), "{text}");
        }
        for text in [
            "", "gpu:1", "cpu:0", "cpu:", "cuda:", "cuda:x", "cuda:0,0", "cuda:-1", "gpus:0", "auto:1",
            "cpu:1:2", "0", "mps",
        ] {
            assert!(text.parse::<DeviceRequest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_of_another_program_is_told_how_to_write_it() {
        let told = |text: &str| text.parse::<DeviceRequest>().unwrap_err();
        assert!(told("gpu:1").contains("write `cuda:1` for the GPU with that index, `gpus:N` for any N"));
        assert!(told("0").contains("write `cuda:0` to name GPUs"));
        assert!(told("[0, 1]").contains("write `cuda:0,1` to name GPUs"));
        assert!(told("mps").contains("only NVIDIA GPUs"));
        assert!(told("cuda:0,0").contains("name each GPU once"));
    }

    #[test]
    fn a_count_that_was_recorded_as_cuda_still_is_a_count() {
        for (recorded, request) in [
            (r#"{"cuda":2}"#, DeviceRequest::Gpus(Some(2))),
            (r#"{"cuda":null}"#, DeviceRequest::Gpus(None)),
            (r#""auto""#, DeviceRequest::Auto),
            (r#"{"cpu":3}"#, DeviceRequest::Cpu(3)),
            (r#"{"indices":[0,2]}"#, DeviceRequest::Indices(vec![0, 2])),
        ] {
            assert_eq!(serde_json::from_str::<DeviceRequest>(recorded).unwrap(), request);
            assert_eq!(serde_json::to_string(&request).unwrap(), recorded);
        }
    }
}
