//! The file system under a database. A payment is signed once because what was written is still there after a crash,
//! and because two processes that open one file notice each other. Network file systems promise neither: SQLite's
//! write-ahead log needs memory that both share, and several answer fsync before the server has written anything.

use std::path::{Path, PathBuf};

/// `f_type` of `statfs`, see statfs(2).
type Magic = u32;

/// File systems of one machine.
const LOCAL: [(Magic, &str); 9] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x3153_464a, "jfs"),
    (0x5265_4973, "reiserfs"),
    (0x4d44, "vfat"),
];
/// Over a network, without locks or syncs that a database can rely on.
const NETWORK: [(Magic, &str); 7] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x7375_7245, "Coda"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
];
/// What is right for tests, and wrong for money.
const PASSING: [(Magic, &str); 3] =
    [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs"), (0x794c_7630, "the container's own layer")];
/// Whether they can be relied upon depends on how they are mounted and what is behind them.
const DOUBTFUL: [(Magic, &str); 6] = [
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "CephFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
];

/// Why no database is opened there.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A network file system.
    #[error(
        "{} is on {kind}, a network file system, whose locks and syncs can't be relied upon: after a crash something \
         could be signed or paid twice; give it a volume of a block device (ReadWriteOnce) and move the files there",
        path.display()
    )]
    Network {
        /// The folder.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// The folder can't be looked at.
    #[error("can't look at the file system of {}: {cause}; the volume must be mounted there", path.display())]
    Unseen {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
}

/// Refuses to keep a database in `folder` on a network file system, and warns where nobody can tell.
pub fn check(folder: &Path) -> Result<(), VolumeError> {
    let path = folder.to_owned();
    let seen =
        rustix::fs::statfs(folder).map_err(|cause| VolumeError::Unseen { path: path.clone(), cause: cause.into() })?;
    let magic = Magic::try_from(seen.f_type & 0xffff_ffff).unwrap_or_default();
    match judge(magic) {
        Verdict::Relied => Ok(()),
        Verdict::Refused(kind) => Err(VolumeError::Network { path, kind }),
        Verdict::Warned(why) => {
            tracing::warn!(folder = %path.display(), "{why}");
            Ok(())
        }
    }
}

/// What a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it, bytes.
    pub size: u64,
    /// What this process may still write, bytes.
    pub free: u64,
}

/// What the file system of `folder` has: statvfs(3), of which the blocks kept for root are not counted as free.
pub fn space(folder: &Path) -> Result<Space, VolumeError> {
    let seen = rustix::fs::statvfs(folder)
        .map_err(|cause| VolumeError::Unseen { path: folder.to_owned(), cause: cause.into() })?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Ok(Space { size: bytes(seen.f_blocks), free: bytes(seen.f_bavail) })
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Relied,
    Refused(&'static str),
    Warned(String),
}

fn judge(magic: Magic) -> Verdict {
    let named =
        |kinds: &[(Magic, &'static str)]| kinds.iter().find(|(known, _)| *known == magic).map(|(_, kind)| *kind);
    if let Some(kind) = named(&NETWORK) {
        return Verdict::Refused(kind);
    }
    if named(&LOCAL).is_some() {
        return Verdict::Relied;
    }
    if let Some(kind) = named(&PASSING) {
        return Verdict::Warned(format!(
            "the database is on {kind}: it is gone after the next restart of the pod or host"
        ));
    }
    let kind = named(&DOUBTFUL).map_or_else(|| format!("an unknown file system (0x{magic:x})"), str::to_owned);
    Verdict::Warned(format!(
        "the database is on {kind}: make sure that one pod alone mounts it and that fsync reaches the disk, or give it \
         a volume of a block device"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_refused_by_its_name() {
        for (magic, kind) in [(0x6969, "NFS"), (0xfe53_4d42, "SMB"), (0xff53_4d42, "CIFS")] {
            assert_eq!(judge(magic), Verdict::Refused(kind));
        }
        let error = VolumeError::Network { path: "/data".into(), kind: "NFS" }.to_string();
        assert!(
            error.starts_with("/data is on NFS") && error.contains("block device") && !error.contains('\n'),
            "{error}"
        );
    }

    #[test]
    fn what_nobody_can_tell_is_warned_of_and_what_is_known_is_not() {
        for (magic, words) in
            [(0x0102_1994, "gone after"), (0x6573_5546, "FUSE"), (0x1234, "unknown file system (0x1234)")]
        {
            assert!(matches!(judge(magic), Verdict::Warned(why) if why.contains(words)), "{words}");
        }
        for (magic, _) in LOCAL {
            assert_eq!(judge(magic), Verdict::Relied);
        }
    }

    #[test]
    fn a_real_file_system_says_what_it_has_and_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let Space { size, free } = space(folder.path()).unwrap();
        assert!(size > free && free > 0, "{free} of {size}");
        assert_eq!(space(Path::new("/proc")).unwrap(), Space { size: 0, free: 0 });
        assert!(space(&folder.path().join("none")).unwrap_err().to_string().contains("No such file"));
    }

    #[test]
    fn a_real_folder_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path()).unwrap();
        // Of a kind that nobody keeps a database on.
        check(Path::new("/proc")).unwrap();
        let error = check(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("No such file") && error.contains("must be mounted"), "{error}");
    }
}
