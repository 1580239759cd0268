//! A small hub on loopback: repositories of files that a test writes, faults that it asks for, and a
//! record of what was asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use lorasweep::hub::Settings;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What goes wrong with the next answer for a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// The content has the right length and is another one.
    Wrong,
    /// The whole file comes, whatever part was asked for.
    Whole,
    /// A refusal: status and error code.
    Status(u16, &'static str),
}

#[derive(Clone, Default)]
struct Content {
    /// `models/o/n` or `datasets/o/n` → revision → commit.
    revisions: BTreeMap<String, BTreeMap<String, String>>,
    /// Commit → path → content.
    files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    token: Option<String>,
}

/// A request that the hub saw.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

#[derive(Default)]
struct Shared {
    content: Mutex<Content>,
    faults: Mutex<Vec<(String, Fault)>>,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// The hub. It stops when it is dropped.
pub(crate) struct TestHub {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A commit's name, made of one digit.
pub(crate) fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

impl TestHub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let server = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for stream in listener.incoming() {
                    if server.stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    let (server, stream) = (&server, stream.unwrap());
                    scope.spawn(move || server.serve(stream, address));
                }
            });
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Puts files at a revision of a repository.
    pub(crate) fn put(&self, repository: &str, revision: &str, commit: &str, files: &[(&str, &[u8])]) {
        let mut content = self.shared.content.lock().unwrap();
        let revisions = content.revisions.entry(repository.to_owned()).or_default();
        revisions.insert(revision.to_owned(), commit.to_owned());
        revisions.insert(commit.to_owned(), commit.to_owned());
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()));
        content.files.entry(commit.to_owned()).or_default().extend(files);
    }

    /// From now on only who has this token is served.
    pub(crate) fn require(&self, token: &str) {
        self.shared.content.lock().unwrap().token = Some(token.to_owned());
    }

    /// The next answer to an address that ends like this goes wrong. Several come in turn.
    pub(crate) fn fail_next(&self, ending: &str, fault: Fault) {
        self.shared.faults.lock().unwrap().push((ending.to_owned(), fault));
    }

    /// What was asked since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    pub(crate) fn settings(&self, cache: &Path) -> Settings {
        let endpoint = format!("http://{}", self.address);
        Settings { cache: cache.to_path_buf(), endpoint, token: None, offline: false }
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream, address: SocketAddr) {
        let Some(request) = read_request(&stream) else { return };
        self.seen.lock().unwrap().push(request.clone());
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let place = faults.iter().position(|(ending, _)| request.path.ends_with(ending));
            place.map(|place| faults.remove(place).1)
        };
        let content = self.content.lock().unwrap().clone();
        let is_open = request.path.starts_with("/cdn/") || content.token.is_none();
        let answer = if let Some(Fault::Status(status, code)) = fault {
            refusal(status, code)
        } else if !is_open && request.token.as_deref() != content.token.as_deref() {
            refusal(401, "")
        } else if let Some(rest) = request.path.strip_prefix("/api/") {
            listing(&content, rest)
        } else if let Some(rest) = request.path.strip_prefix("/cdn/") {
            let (commit, path) = rest.split_once('/').unwrap();
            file(&content.files[commit][path], &request, fault)
        } else {
            resolve(&content, &request, fault, address)
        };
        // The client may have gone; that is its right.
        drop(stream.write_all(&answer));
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, range: None, token: None };
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some(request)
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    answer(status, &format!("X-Error-Code: {code}\r\n"), b"no")
}

fn is_large(path: &str) -> bool {
    [".safetensors", ".bin", ".parquet"].iter().any(|ending| path.ends_with(ending))
}

fn listing(content: &Content, rest: &str) -> Vec<u8> {
    let rest = rest.strip_suffix("?blobs=true").expect("a listing with sums");
    let (repository, revision) = rest.split_once("/revision/").unwrap();
    let Some(revisions) = content.revisions.get(repository) else { return refusal(404, "RepoNotFound") };
    let Some(commit) = revisions.get(revision) else { return refusal(404, "RevisionNotFound") };
    let siblings: Vec<_> = content.files[commit]
        .iter()
        .map(|(path, bytes)| {
            let git =
                hex(&Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize());
            let mut file = json!({"rfilename": path, "size": bytes.len(), "blobId": git});
            if is_large(path) {
                let sum = hex(&Sha256::digest(bytes));
                file["lfs"] = json!({"sha256": sum, "size": bytes.len(), "pointerSize": 130});
            }
            file
        })
        .collect();
    let body = json!({"id": repository, "sha": commit, "siblings": siblings}).to_string();
    answer(200, "Content-Type: application/json\r\n", body.as_bytes())
}

/// Large files lie on another host, as the real hub's do.
fn resolve(content: &Content, request: &Request, fault: Option<Fault>, address: SocketAddr) -> Vec<u8> {
    let (_, rest) = request.path.split_once("/resolve/").expect("a file's address");
    let (commit, path) = rest.split_once('/').unwrap();
    let Some(bytes) = content.files.get(commit).and_then(|files| files.get(path)) else {
        return refusal(404, "EntryNotFound");
    };
    if is_large(path) && fault.is_none() {
        let port = address.port();
        return answer(302, &format!("Location: http://localhost:{port}/cdn/{commit}/{path}\r\n"), b"");
    }
    file(bytes, request, fault)
}

fn file(bytes: &[u8], request: &Request, fault: Option<Fault>) -> Vec<u8> {
    let range = request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = range.map_or(0, |start| start.parse().unwrap());
    let whole = answer(200, "", bytes);
    let rest = || {
        let range = format!("Content-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len());
        answer(206, &range, &bytes[start..])
    };
    match fault {
        Some(Fault::Cut(length)) => {
            let answer = if start > 0 { rest() } else { whole };
            let head = answer.len() - (bytes.len() - start);
            answer[..head + length].to_vec()
        }
        Some(Fault::Wrong) => answer(200, "", &bytes.iter().rev().copied().collect::<Vec<_>>()),
        None if start > 0 => rest(),
        Some(Fault::Whole | Fault::Status(..)) | None => whole,
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
