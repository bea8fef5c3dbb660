//! From root to the user that mail belongs to.

use super::ConfineError;
use nix::unistd::{Gid, Group, Uid, User, initgroups, setresgid, setresuid};
use skein_config::Config;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Highest number of a capability that is looked for; Linux has 41 of them, and refuses numbers it does not know.
const CAPABILITIES_MAX: u32 = 63;

/// The user to become.
#[derive(Debug)]
pub(crate) struct Becoming {
    name: CString,
    uid: Uid,
    gid: Gid,
}

impl Becoming {
    /// Whom the settings name; `None` when that is nobody, or who runs already.
    pub fn find(config: &Config) -> Result<Option<Becoming>, ConfineError> {
        let safety = &config.safety;
        if safety.user.is_empty() {
            return Ok(None);
        }
        let system = |error: nix::Error| ConfineError::kernel("looking for safety.user", io::Error::from(error));
        let user = User::from_name(&safety.user).map_err(system)?;
        let user = user.ok_or_else(|| ConfineError::NoUser(safety.user.clone()))?;
        let gid = match safety.group.as_str() {
            "" => user.gid,
            name => {
                let group = Group::from_name(name).map_err(system)?;
                group.ok_or_else(|| ConfineError::NoGroup(name.to_owned()))?.gid
            }
        };
        if user.uid == Uid::effective() {
            return Ok(None);
        }
        if !Uid::effective().is_root() {
            return Err(ConfineError::NotRoot { user: user.name });
        }
        let name = CString::new(user.name).map_err(|_| ConfineError::NoUser(safety.user.clone()))?;
        Ok(Some(Becoming { name, uid: user.uid, gid }))
    }

    /// Gives the data folder to the user: all of it where it is another's, as after a first run as root, and otherwise
    /// what lies directly in it and this start may have made.
    pub fn give(&self, data: &Path) -> Result<(), ConfineError> {
        let owner = |error| ConfineError::Owner { path: data.to_owned(), error };
        // It may be a link to where the room is; links below it are followed by nobody.
        let folder = fs::canonicalize(data).map_err(owner)?;
        if !self.owns(&folder)? {
            tracing::info!(folder = %folder.display(), user = ?self.name, "giving the data folder to its user");
            return self.give_all(&folder);
        }
        for entry in fs::read_dir(&folder).map_err(owner)? {
            let path = entry.map_err(owner)?.path();
            if !self.owns(&path)? {
                self.give_all(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the data folder is the user's.
    ///
    /// # Errors
    /// When it can not be looked at.
    pub fn owns_data(&self, data: &Path) -> Result<bool, ConfineError> {
        let owner = |error| ConfineError::Owner { path: data.to_owned(), error };
        self.owns(&fs::canonicalize(data).map_err(owner)?)
    }

    fn owns(&self, path: &Path) -> Result<bool, ConfineError> {
        let meta = fs::symlink_metadata(path);
        let meta = meta.map_err(|error| ConfineError::Owner { path: path.to_owned(), error })?;
        Ok(meta.uid() == self.uid.as_raw())
    }

    /// A folder goes after what is in it, so that an interrupted walk is begun anew at the next start.
    fn give_all(&self, path: &Path) -> Result<(), ConfineError> {
        let owner = |error| ConfineError::Owner { path: path.to_owned(), error };
        if fs::symlink_metadata(path).map_err(owner)?.is_dir() {
            for entry in fs::read_dir(path).map_err(owner)? {
                self.give_all(&entry.map_err(owner)?.path())?;
            }
        }
        self.give_one(path).map_err(owner)
    }

    fn give_one(&self, path: &Path) -> io::Result<()> {
        lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// Becomes the user, for good: groups, ids, and every capability.
    pub fn become_user(&self) -> Result<(), ConfineError> {
        let nix = |what| move |error: nix::Error| ConfineError::kernel(what, io::Error::from(error));
        forget_capabilities()?;
        initgroups(&self.name, self.gid).map_err(nix("taking the user's groups"))?;
        setresgid(self.gid, self.gid, self.gid).map_err(nix("taking the user's group"))?;
        setresuid(self.uid, self.uid, self.uid).map_err(nix("becoming the user"))?;
        // The kernel cleared the capabilities with the last root id. A way back would be a hole, so it is tried.
        assert!(nix::unistd::setuid(Uid::from_raw(0)).is_err(), "root is still within reach");
        Ok(())
    }
}

/// No program started by this process could have one either.
fn forget_capabilities() -> Result<(), ConfineError> {
    for number in 0..=CAPABILITIES_MAX {
        let Some(capability) = rustix::thread::CapabilitySet::from_bits(1 << number) else { continue };
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(ConfineError::kernel("giving up capabilities", error)),
        }
    }
    rustix::thread::clear_ambient_capability_set()
        .map_err(|error| ConfineError::kernel("giving up capabilities", error))
}

/// What is left after the ports are bound, of a user with a few capabilities such as systemd gives.
pub(crate) fn drop_capabilities() -> Result<(), ConfineError> {
    use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    clear_ambient_capability_set()
        .and_then(|()| set_capabilities(None, sets))
        .map_err(|error| ConfineError::kernel("giving up capabilities", error))
}
