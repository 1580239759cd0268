//! Owns the locks: who may write to a run, one orchestrator at a time; who may remove what runs share; who uses a
//! part of the machine; and who makes a file that others wait for.
//!
//! The kernel releases a lock when its holder dies, however it dies, so a lock is never stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::FileError;

/// Processes that only check a lock hold it for an instant; this is how long to wait for them.
const PATIENCE: Duration = Duration::from_millis(300);

/// Longest text that names a holder.
const LONGEST_HOLDER: u64 = 300;

/// A way to take a lock without waiting for it.
type Take = fn(&File) -> Result<(), TryLockError>;

/// A lock that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("`{}` is in use by {holder}", folder.display())]
    InUse {
        /// The locked folder.
        folder: PathBuf,
        /// The process that holds it, for people.
        holder: String,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The right to write to a run, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's name into its file.
    ///
    /// # Errors
    /// When another orchestrator holds it, with that one's name; or when the file cannot be written.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let file = open(path).map_err(FileError::of("lock", path))?;
        Self::alone(file, path)
    }

    /// Takes a lock that processes of any user may want, on a file in a folder where all may write.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn of_all_users(path: &Path) -> Result<Self, LockError> {
        let file = open_for_all(path).map_err(FileError::of("lock", path))?;
        Self::alone(file, path)
    }

    fn alone(mut file: File, path: &Path) -> Result<Self, LockError> {
        if !try_for_a_while(&file, path, File::try_lock)? {
            return Err(refusal(path, &mut file));
        }
        write_holder(&mut file).map_err(FileError::of("lock", path))?;
        Ok(Self { _file: file })
    }

    /// Takes a lock that any number of processes may share, but not while one holds it alone through
    /// [`Self::acquire`].
    ///
    /// # Errors
    /// When a process holds it alone, with its name; or when the file cannot be written.
    pub fn share(path: &Path) -> Result<Self, LockError> {
        let mut file = open(path).map_err(FileError::of("lock", path))?;
        let taken = try_for_a_while(&file, path, File::try_lock_shared)?;
        if taken { Ok(Self { _file: file }) } else { Err(refusal(path, &mut file)) }
    }
}

/// Waits for a lock and holds it until the file is dropped or the process dies. On file systems without locks
/// (some clusters have them), two processes may then do the same work.
///
/// # Errors
/// When the file cannot be made or opened.
pub fn wait(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    match file.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(_) => Ok(file),
    }
}

fn open(path: &Path) -> io::Result<File> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// Opens a file for users who do not trust each other, and makes it where it is absent. It must not be a link,
/// which could lead to a file of ours.
fn open_for_all(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.create_new(true).open(path) {
        Ok(file) => {
            file.set_permissions(fs::Permissions::from_mode(0o666))?;
            Ok(file)
        }
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.create_new(false).open(path),
        Err(error) => Err(error),
    }
}

/// Tries to take a lock, for as long as another process may be checking it.
fn try_for_a_while(file: &File, path: &Path, take: Take) -> Result<bool, FileError> {
    let begun = Instant::now();
    loop {
        if taken(file, take).map_err(FileError::of("lock", path))? {
            return Ok(true);
        }
        if begun.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether an orchestrator holds the lock now.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    File::open(path).and_then(|file| taken(&file, File::try_lock_shared)).is_ok_and(|taken| !taken)
}

/// The process that holds a lock now, for people; None where nobody does.
#[must_use]
pub fn holder(path: &Path) -> Option<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let free = taken(&file, File::try_lock_shared).unwrap_or(true);
    (!free).then(|| holder_in(&mut file))
}

/// The machine's name, for people.
#[must_use]
pub fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "unknown host".to_owned())
}

fn taken(file: &File, take: Take) -> io::Result<bool> {
    match take(file) {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "process {} on {}", std::process::id(), host_name())?;
    file.sync_all()
}

fn refusal(path: &Path, file: &mut File) -> LockError {
    LockError::InUse { folder: path.parent().unwrap_or(path).to_path_buf(), holder: holder_in(file) }
}

/// The holder as its lock's file names it.
fn holder_in(file: &mut File) -> String {
    let mut holder = String::new();
    if file.take(LONGEST_HOLDER).read_to_string(&mut holder).is_err() || holder.is_empty() {
        "another process".clone_into(&mut holder);
    }
    // Others may have written it.
    holder.retain(|c| !c.is_control());
    holder
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    /// Tells the copy of this test program that holds a lock which one it is to hold.
    const HOLD: &str = "LORASWEEP_TEST_HOLD";

    #[test]
    fn one_holder_at_a_time_and_the_refusal_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_held(&path));
        let lock = Lock::acquire(&path).unwrap();
        assert!(is_held(&path));
        let error = Lock::acquire(&path).unwrap_err();
        let holder = format!("process {} on {}", std::process::id(), host_name());
        assert!(error.to_string().contains(&holder), "{error}");
        assert!(Lock::share(&path).is_err());
        drop(lock);
        // A child that another test is just about to start may hold it for a moment.
        let dropped = Instant::now();
        while is_held(&path) {
            assert!(dropped.elapsed() < Duration::from_secs(10), "nobody lets go of it");
            std::thread::yield_now();
        }
        let shared = [Lock::share(&path).unwrap(), Lock::share(&path).unwrap()];
        assert!(Lock::acquire(&path).is_err());
        drop(shared);
        Lock::acquire(&path).unwrap();
    }

    #[test]
    fn a_lock_of_all_users_is_for_all_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::of_all_users(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(holder(&path), Some(format!("process {} on {}", std::process::id(), host_name())));
        assert!(matches!(Lock::of_all_users(&path), Err(LockError::InUse { .. })));
        drop(lock);
        assert_eq!(holder(&path), None);
        Lock::of_all_users(&path).unwrap();
        let (ours, link) = (folder.path().join("ours"), folder.path().join("link"));
        fs::write(&ours, "precious").unwrap();
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        assert!(matches!(Lock::of_all_users(&link), Err(LockError::File(_))));
        assert_eq!(fs::read_to_string(&ours).unwrap(), "precious");
    }

    #[test]
    fn a_dead_holder_keeps_nothing() {
        if let Some(path) = std::env::var_os(HOLD) {
            let _lock = Lock::acquire(Path::new(&path)).unwrap();
            writeln!(io::stdout(), "\nheld").unwrap();
            // Until it is killed.
            drop(io::stdin().read_to_end(&mut Vec::new()));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::lock::tests::a_dead_holder_keeps_nothing", "--nocapture"])
            .env(HOLD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "held"));
        let refused = Lock::acquire(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} on {}", holder.id(), host_name())), "{refused}");
        // SIGKILL: it cannot clean up.
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(!is_held(&path));
        Lock::acquire(&path).unwrap();
    }
}
