//! What this host is and has, and the Debian packages it lacks.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::run::Run;

/// For downloading and installing a few packages.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Debian's switch that keeps packages from starting their services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this process, though root, can't get some capability. "Privileged" containers need them all.
pub(crate) fn lacks_capabilities() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).context("no CapBnd")?;
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    Ok(u64::from_str_radix(bounding.trim(), 16)? != (1 << (last.trim().parse::<u32>()? + 1)) - 1)
}

/// Where a command is, also outside of the user's PATH.
pub(crate) fn find_command(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A command that has to be there by now.
pub(crate) fn command(name: &str) -> Result<PathBuf> {
    find_command(name).with_context(|| format!("the command {name} is missing"))
}

/// Whether packages can be installed here.
pub(crate) fn can_install() -> bool {
    is_root() && find_command("apt-get").is_some()
}

/// Installs the packages of those (command, package) pairs whose command is missing.
pub(crate) async fn install(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(command, _)| find_command(command).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(can_install(), "install {names} (only root on Debian or Ubuntu can have it done by this command)");
    eprintln!("lab: installing {names}");
    let apt = || Run::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").timeout(INSTALL_TIMEOUT);
    apt().args(["update", "-q"]).done().await?;
    let _quiet = NoServices::begin()?;
    apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(missing).done().await
}

/// While it lives, installed packages start no service: the lab starts its own Docker daemon, with its own options.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}
