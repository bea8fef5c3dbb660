//! A disk of its own for a server, and a power cut on it: a small ext4 on a loop device that stops taking writes at once, without writing back what it holds.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program;
use crate::temp::TempDir;
use crate::wait::{self, PATIENCE};

/// Size of the file system image; sparse, so this is a bound and not a cost.
const IMAGE_BYTES: u64 = 2 << 30;

/// A mounted loop device.
#[derive(Debug)]
pub struct LoopDisk {
    folder: TempDir,
}

impl LoopDisk {
    /// Makes and mounts one; `None`, with a printed line, where that is not possible.
    ///
    /// # Panics
    /// When the image can not be written.
    pub fn mount() -> Option<LoopDisk> {
        program::find("python3")?;
        LoopDisk::mount_of(IMAGE_BYTES, None)
    }

    /// The same with a size, and with a number of inodes.
    ///
    /// # Panics
    /// When the image can not be written.
    pub fn mount_of(bytes: u64, inodes: Option<u64>) -> Option<LoopDisk> {
        program::is_root("a loop mount").then_some(())?;
        let mkfs = program::find("mkfs.ext4")?;
        if !Path::new("/dev/loop-control").exists() {
            println!("skipped: no loop devices");
            return None;
        }
        let folder = TempDir::new("power");
        std::fs::create_dir(folder.join("disk")).expect("the folder is ours");
        File::create(folder.join("image")).and_then(|f| f.set_len(bytes)).expect("the image can be made");
        let mut make = Command::new(mkfs);
        // Nothing is kept for root, which tests run as.
        make.args(["-q", "-F", "-m", "0"]);
        if let Some(count) = inodes {
            make.args(["-N", &count.to_string()]);
        }
        program::run(make.arg(folder.join("image")), b"").expect_ok("mkfs.ext4");
        let disk = LoopDisk { folder };
        let mounted = disk.attach();
        if let Err(why) = &mounted {
            println!("skipped: no loop mount: {why}");
        }
        mounted.ok().map(|()| disk)
    }

    /// The mounted folder.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.join("disk")
    }

    /// The cut: every write and sync fails from then on, and what was not synced is gone. `now` is called right before.
    ///
    /// An `fdatasync` that runs at this very moment may still return success although its transaction is gone: Linux looks
    /// for the transaction, finds that it is neither running nor committing, and takes it for done (a bare loop of `pwrite`
    /// and `fdatasync` loses one of some hundred cuts that way). With real power nobody would see that answer.
    ///
    /// # Panics
    /// When the file system refuses.
    pub fn cut(&self, now: &dyn Fn()) {
        let mut cut = Command::new("python3");
        cut.arg(program::script("power_cut.py")).arg(self.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cut = cut.spawn().expect("python3 starts");
        // Once it has written a line it is ready, and the line it is sent is the cut.
        let mut ready = [0];
        cut.stdout.take().expect("piped").read_exact(&mut ready).expect("the folder can be opened");
        now();
        drop(cut.stdin.take());
        assert!(cut.wait().expect("it ends").success(), "power cut");
    }

    /// Mounts again what survived. Nothing may have files open on it.
    ///
    /// # Panics
    /// When it can not be mounted.
    pub fn revive(&self) {
        self.detach();
        self.attach().unwrap_or_else(|e| panic!("mount again: {e}"));
    }

    fn attach(&self) -> Result<(), String> {
        let mut mount = Command::new("mount");
        let outcome = program::run(mount.args(["-o", "loop"]).arg(self.folder.join("image")).arg(self.path()), b"");
        if outcome.status.success() { Ok(()) } else { Err(outcome.all_text()) }
    }

    /// The kernel closes the files of a killed server's io_uring a moment after the process is gone, so this may have to wait.
    fn detach(&self) {
        let mut last = String::new();
        let done = wait::until(PATIENCE, || {
            let outcome = program::run(Command::new("umount").arg(self.path()), b"");
            last = outcome.all_text();
            outcome.status.success()
        });
        assert!(done, "umount: {last}");
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let _unmounted_or_left_for_a_look = program::run(umount.arg("-l").arg(self.path()), b"");
    }
}
