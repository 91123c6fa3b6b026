//! Children, and what is left when their parent is killed.

#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::{
    process::{Server, Spec},
    run::{self, Folder},
};

const DEADLINE: Duration = Duration::from_secs(20);

struct Parent {
    process: Child,
    child: u32,
    folder: PathBuf,
}

fn parent(args: &[&str]) -> Parent {
    let mut process = Command::new(env!("CARGO_BIN_EXE_test-workload"))
        .arg("parent")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (pid, folder) = line.trim().split_once(' ').unwrap();
    Parent { process, child: pid.parse().unwrap(), folder: folder.into() }
}

impl Parent {
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_child_dies_with_a_parent_that_is_killed() {
    let mut parent = parent(&[]);
    assert!(lives(parent.child));
    parent.kill();
    eventually("the child is gone", || !lives(parent.child));
}

#[test]
fn a_child_dies_with_a_parent_that_panics() {
    let mut parent = parent(&["panic"]);
    parent.process.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(!parent.process.wait().unwrap().success());
    eventually("the child is gone", || !lives(parent.child));
    assert!(parent.folder.exists(), "the logs of a failed test stay until the next run");
}

#[test]
fn a_detached_child_outlives_its_parent_and_the_next_run_removes_it_with_its_folder() {
    let mut parent = parent(&["detached"]);
    parent.kill();
    assert!(lives(parent.child));
    run::clean().unwrap();
    eventually("the child is gone", || !lives(parent.child));
    eventually("its folder is gone", || !parent.folder.exists());
}

#[test]
fn a_run_that_still_lives_is_left_alone() {
    let mut parent = parent(&[]);
    run::clean().unwrap();
    assert!(lives(parent.child) && parent.folder.exists());
    parent.kill();
}

#[test]
fn a_temporary_folder_goes_with_its_owner_and_a_given_one_stays() {
    let temporary = Folder::new("test", None).unwrap();
    let path = temporary.path().to_owned();
    drop(temporary);
    assert!(!path.exists());
    let given = tempfile::tempdir().unwrap();
    drop(Folder::new("test", Some(given.path().join("kept"))).unwrap());
    assert!(given.path().join("kept").exists());
}

fn shell(folder: &Path, script: &str) -> Server {
    Server::new(Spec::new("shell", "sh".into(), folder).args(["-c", script]))
}

#[tokio::test]
async fn a_server_that_ends_too_early_is_reported_with_its_status_and_last_lines() {
    let folder = Folder::new("test", None).unwrap();
    let server = shell(folder.path(), "echo the port is taken; exit 3");
    server.start().unwrap();
    let never = || async { Err::<(), _>(anyhow::anyhow!("refused")) };
    let error = server.ready(DEADLINE, never).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("the port is taken"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_reported_with_the_last_answer_and_last_lines() {
    let folder = Folder::new("test", None).unwrap();
    let server = shell(folder.path(), "echo waiting for a disk; exec sleep 600");
    server.start().unwrap();
    let never = || async { Err::<(), _>(anyhow::anyhow!("connection refused")) };
    let error = server.ready(Duration::from_millis(300), never).await.unwrap_err().to_string();
    assert!(error.contains("connection refused") && error.contains("waiting for a disk"), "{error}");
}

#[tokio::test]
async fn a_stopped_server_starts_again_and_one_that_ignores_the_request_is_killed() {
    let folder = Folder::new("test", None).unwrap();
    let server = shell(folder.path(), "trap '' TERM; echo up; while :; do sleep 0.05; done");
    server.start().unwrap();
    let up = || async { server.log().contains("up").then_some(()).ok_or_else(|| anyhow::anyhow!("not yet")) };
    server.ready(DEADLINE, up).await.unwrap();
    let first = server.id().unwrap();
    server.stop(Duration::from_millis(200)).await;
    assert!(!first.lives() && !server.runs());
    server.start().unwrap();
    assert!(server.runs() && server.id() != Some(first));
}
