//! Owns requests to the hub and the meaning of its refusals. Knows no file.

use std::time::Duration;

use ureq::RequestBuilder;
use ureq::http::Response;
use ureq::typestate::WithoutBody;

use super::Problem;
use super::repository::Repository;

/// Longest time to connect. [`SILENCE`] is the longest wait for an answer or for its next piece.
const CONNECT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);

/// An answer whose body has not been read yet.
pub(super) type Answer = Response<ureq::Body>;

impl Repository<'_> {
    /// Sends a request. Any answer but a success is an error.
    pub(super) fn ask(
        &self,
        request: RequestBuilder<WithoutBody>,
        file: Option<&str>,
    ) -> Result<Answer, Problem> {
        let answer = request
            .header("Accept-Encoding", "identity")
            .config()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build()
            .call()
            .map_err(|error| Problem::Unreachable {
                endpoint: self.settings.endpoint.clone(),
                reason: error.to_string(),
            })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(&answer, file)) }
    }

    /// The hub names the reason of a refusal in a header; the status alone says less.
    fn refusal(&self, answer: &Answer, file: Option<&str>) -> Problem {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let code = header("x-error-code").unwrap_or_default();
        let status = answer.status().as_u16();
        let revision = || Problem::NoRevision(self.reference.revision().to_owned());
        match (status, code, file) {
            (401 | 403, "GatedRepo", _) if self.settings.token.is_none() => Problem::Gated,
            (401, "RepoNotFound", _) if self.settings.token.is_some() => Problem::NoRepository,
            (401, "GatedRepo", _) => Problem::NoAccess,
            (401 | 403, _, _) if self.settings.token.is_none() => Problem::NeedsToken,
            (401, _, _) => Problem::TokenRejected,
            (403, _, _) => Problem::NoAccess,
            (404, "RevisionNotFound", _) => revision(),
            (404, "RepoNotFound", _) => Problem::NoRepository,
            (404, _, Some(file)) => Problem::NoFile(file.to_owned()),
            (404, _, None) => Problem::NoRepository,
            _ => {
                let message = header("x-error-message").unwrap_or_default().to_owned();
                Problem::Refused { status, message }
            }
        }
    }
}
