//! Owns the transfer of one file from the hub into the cache: received under a temporary name, resumed where it
//! stopped, checked, renamed. A wrong file never gets the right name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use super::Problem;
use super::cache::{has_length, trouble};
use super::client::Answer;
use super::listing::RemoteFile;
use super::repository::Repository;
use crate::disk::lock;

/// Bytes read between two progress reports.
const PIECE: usize = 1 << 18;

/// Why a body was not copied to its end.
enum Broken {
    Connection(io::Error),
    Disk(io::Error),
}

/// A file of a commit that is to be fetched.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) commit: &'a str,
    /// Its path in the repository.
    pub(super) path: &'a str,
    pub(super) file: &'a RemoteFile,
}

impl Repository<'_> {
    /// Fetches a file into the cache, unless its blob is there already. `tell` is called with the bytes
    /// received.
    pub(super) fn fetch(&self, wanted: &Wanted<'_>, tell: &dyn Fn(u64)) -> Result<(), Problem> {
        let Wanted { commit, path, file } = *wanted;
        let name = file.sum.digits();
        let blob = self.blob(name);
        let _held = self.lock(name)?;
        if !has_length(&blob, file.size) {
            let partial = blob.with_extension("incomplete");
            self.receive(wanted, &partial, tell)?;
            if !file.sum.fits(&partial).map_err(trouble(&partial))? {
                fs::remove_file(&partial).map_err(trouble(&partial))?;
                return Err(Problem::WrongSum(path.to_owned()));
            }
            fs::rename(&partial, &blob).map_err(trouble(&blob))?;
        }
        tell(file.size);
        let linked = has_length(&self.snapshot(commit).join(path), file.size);
        if linked { Ok(()) } else { self.link(commit, path, name) }
    }

    /// Waits until no other process receives this blob; Python takes the same lock.
    fn lock(&self, blob: &str) -> Result<File, Problem> {
        let folder = self.settings.cache.join(".locks").join(self.folder_name());
        let path = folder.join(format!("{blob}.lock"));
        lock::wait(&path).map_err(trouble(&path))
    }

    /// Receives a file up to its announced length. Asks again for as long as each request brings more of it.
    fn receive(&self, wanted: &Wanted<'_>, partial: &Path, tell: &dyn Fn(u64)) -> Result<(), Problem> {
        let disk = trouble(partial);
        let size = wanted.file.size;
        fs::create_dir_all(partial.parent().expect("a blob lies in its folder")).map_err(&disk)?;
        let mut out = OpenOptions::new().create(true).append(true).open(partial).map_err(&disk)?;
        let mut received = out.metadata().map_err(&disk)?.len();
        if received > size {
            out.set_len(0).map_err(&disk)?;
            received = 0;
        }
        let mut most = received;
        while received < size {
            tell(received);
            let answer = self.ask_from(wanted, received)?;
            if received > 0 && !continues(&answer, received) {
                out.set_len(0).map_err(&disk)?;
                received = 0;
            }
            let reason = match copy(answer, &mut out, &mut received, size, tell) {
                Err(Broken::Disk(error)) => return Err(disk(error)),
                Err(Broken::Connection(error)) => error.to_string(),
                Ok(()) => "the answer ended".to_owned(),
            };
            if received <= most {
                return Err(Problem::CutShort { file: wanted.path.to_owned(), received, size, reason });
            }
            most = received;
        }
        out.sync_all().map_err(&disk)
    }

    /// Requests the rest of a file; a server that cannot do that sends all of it.
    fn ask_from(&self, wanted: &Wanted<'_>, start: u64) -> Result<Answer, Problem> {
        let mut request = self.ask_for_file(wanted.commit, wanted.path);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        self.ask(request, Some(wanted.path))
    }
}

/// Whether an answer is the rest of the file from this byte.
fn continues(answer: &Answer, start: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
    answer.status().as_u16() == 206
        && range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// Copies at most the missing bytes.
fn copy(
    answer: Answer,
    out: &mut File,
    received: &mut u64,
    size: u64,
    tell: &dyn Fn(u64),
) -> Result<(), Broken> {
    let mut body = answer.into_body().into_reader().take(size - *received);
    let mut buffer = vec![0; PIECE];
    loop {
        let read = body.read(&mut buffer).map_err(Broken::Connection)?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..read]).map_err(Broken::Disk)?;
        *received += read as u64;
        tell(*received);
    }
}
