use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use futures::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Database, Failure, Moment, connection, writer::*};

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("file")
}

fn ignore(_: Moment) {}

fn open(dir: &TempDir) -> Database {
    let migrate = |connection: &mut Connection| {
        Ok::<_, Failure>(connection.execute_batch("CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) STRICT")?)
    };
    Database::open(&file(dir), migrate, ignore).unwrap()
}

fn count(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection.query_row("SELECT count(*) FROM names", [], |row| row.get(0))?)
}

fn insert(connection: &Connection, name: &str) -> Result<(), Failure> {
    connection.execute("INSERT INTO names (name) VALUES (?1)", [name])?;
    Ok(())
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let writes = (0..300).map(|n| store.write(move |connection| insert(connection, &n.to_string())));
    assert!(join_all(writes).await.into_iter().all(|outcome| outcome.is_ok()));
    drop(store);
    assert_eq!(open(&dir).read(count).await.unwrap(), 300);
}

#[tokio::test]
async fn a_step_that_fails_takes_no_other_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let good = store.write(|connection| insert(connection, "good"));
    let bad = store.write(|connection| {
        insert(connection, "half")?;
        insert(connection, "half")
    });
    let last = store.write(|connection| insert(connection, "last"));
    let (good, bad, last) = tokio::join!(good, bad, last);
    assert!(good.is_ok() && last.is_ok());
    assert!(matches!(bad, Err(Failure::Failed(_))));
    assert_eq!(store.read(count).await.unwrap(), 2);
}

#[tokio::test]
async fn a_group_that_its_end_refuses_leaves_nothing_and_what_its_end_writes_is_in_the_same_commit() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let end_group = |connection: &Connection| {
        if count(connection)? == 2 {
            return Err(Failure::Refused(std::sync::Arc::new(std::fmt::Error)));
        }
        insert(connection, "end")
    };
    let store = Database::open_with(&file(&dir), |_| Ok::<_, Failure>(()), ignore, end_group).unwrap();
    let refused = store.write(|connection| insert(connection, "one").and_then(|()| insert(connection, "two"))).await;
    assert!(matches!(refused, Err(Failure::Refused(_))));
    assert_eq!(store.read(count).await.unwrap(), 0);
    store.write(|connection| insert(connection, "one")).await.unwrap();
    assert_eq!(store.read(count).await.unwrap(), 2);
}

#[test]
fn where_a_transaction_is_given_up_within_a_step_nothing_is_kept_and_nobody_is_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let mut connection = connection::for_writing(&file(&dir)).unwrap();
    let (kept, told) = std::sync::mpsc::channel();
    let step = |run: fn(&Connection) -> Result<(), Failure>| -> Step {
        let kept = kept.clone();
        Box::new(move |connection| {
            let outcome = isolated(connection, run);
            Box::new(move |committed| kept.send(committed.and(outcome).is_ok()).unwrap())
        })
    };
    // As SQLite does by itself on a full disk.
    let full = |connection: &Connection| Ok(connection.execute_batch("ROLLBACK")?);
    let group = vec![
        step(|connection| insert(connection, "before")),
        step(full),
        step(|connection| insert(connection, "after")),
    ];
    let mut answers = Vec::new();
    let committed =
        write_group(&mut connection, group, &mut answers, ignore, &mut (Box::new(|_: &Connection| Ok(())) as EndGroup));
    assert!(matches!(committed, Err(Failure::GivenUp)));
    answers.into_iter().for_each(|answer| answer(committed.clone()));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [false, false]);
    assert_eq!(count(&connection).unwrap(), 0);
}

#[tokio::test]
async fn every_commit_is_synced_to_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pragmas = open(&dir)
        .write(|connection| {
            let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            Ok::<_, Failure>((mode, synchronous))
        })
        .await
        .unwrap();
    assert_eq!(pragmas, ("wal".to_owned(), 2));
}

#[tokio::test]
async fn two_handles_write_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(&dir), open(&dir));
    let ones = join_all((0..20).map(|n| one.write(move |connection| insert(connection, &format!("a{n}")))));
    let twos = join_all((0..20).map(|n| two.write(move |connection| insert(connection, &format!("b{n}")))));
    let (ones, twos) = tokio::join!(ones, twos);
    assert!(ones.into_iter().chain(twos).all(|outcome| outcome.is_ok()));
    assert_eq!(one.read(count).await.unwrap(), 40);
}

#[tokio::test]
async fn many_writes_at_once_are_few_commits() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COMMITS: AtomicUsize = AtomicUsize::new(0);
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let counted = |moment| {
        COMMITS.fetch_add(usize::from(moment == Moment::Committed), Ordering::Relaxed);
    };
    let store = Database::open(&file(&dir), |_| Ok::<_, Failure>(()), counted).unwrap();
    // Holds the writer until all others wait.
    let (go, held) = std::sync::mpsc::channel::<()>();
    let first = store.write(move |_| {
        let _ = held.recv();
        Ok::<_, Failure>(())
    });
    let writes = join_all((0..200).map(|n| store.write(move |connection| insert(connection, &n.to_string()))));
    let release = async {
        tokio::task::yield_now().await;
        go.send(()).unwrap();
    };
    let (first, writes, ()) = tokio::join!(first, writes, release);
    assert!(first.is_ok() && writes.into_iter().all(|outcome| outcome.is_ok()));
    assert!(COMMITS.load(Ordering::Relaxed) <= 2, "{COMMITS:?} commits of 201 writes");
}

#[tokio::test]
async fn a_reader_is_refused_to_write_and_does_not_wait_for_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert!(matches!(store.read(|connection| insert(connection, "x")).await, Err(Failure::Failed(_))));
    let (go, held) = std::sync::mpsc::channel::<()>();
    let write = store.write(move |connection| {
        insert(connection, "x")?;
        let _ = held.recv();
        Ok::<_, Failure>(())
    });
    let reads = async {
        let seen = join_all((0..20).map(|_| store.read(count))).await;
        go.send(()).unwrap();
        seen
    };
    let (written, seen) = tokio::join!(write, reads);
    written.unwrap();
    assert!(seen.into_iter().all(|seen| seen.unwrap() == 0), "what is not committed is not seen");
    assert_eq!(store.read(count).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_left_is_written_with_the_next_or_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.leave(|connection| insert(connection, "left"));
    assert_eq!(store.read(count).await.unwrap(), 0);
    store.flush().await.unwrap();
    assert_eq!(store.read(count).await.unwrap(), 1);
}

/// A step that notes its name.
fn noting(
    names: &Arc<Mutex<Vec<String>>>,
    name: &str,
) -> impl FnOnce(&Connection) -> Result<(), Failure> + Send + use<> {
    let (names, name) = (names.clone(), name.to_owned());
    move |connection| {
        names.lock().unwrap().push(name.clone());
        insert(connection, &name)
    }
}

#[tokio::test]
async fn what_is_urgent_is_written_before_all_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, order) = (open(&dir), Arc::default());
    let (go, held) = std::sync::mpsc::channel::<()>();
    let first = store.write(move |_| {
        let _ = held.recv();
        Ok::<_, Failure>(())
    });
    let ordinary = join_all((0..40).map(|n| store.write(noting(&order, &format!("ordinary {n}")))));
    let urgent = store.write_urgent(noting(&order, "urgent"));
    let release = async {
        tokio::task::yield_now().await;
        go.send(()).unwrap();
    };
    let (first, ordinary, urgent, ()) = tokio::join!(first, ordinary, urgent, release);
    assert!(first.is_ok() && urgent.is_ok() && ordinary.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(order.lock().unwrap()[0], "urgent");
}

#[tokio::test]
async fn a_step_that_becomes_urgent_meanwhile_ends_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let (store, order) = (Arc::new(open(&dir)), Arc::default());
    let (entered, waits) = std::sync::mpsc::channel::<()>();
    let (go, held) = std::sync::mpsc::channel::<()>();
    let first = store.write(move |_| {
        let _ = entered.send(());
        let _ = held.recv();
        Ok::<_, Failure>(())
    });
    let ordinary = join_all((0..100).map(|n| store.write(noting(&order, &format!("ordinary {n}")))));
    let urgent = {
        let (store, order) = (store.clone(), order.clone());
        async move {
            // The group is being written already, and the others are waiting for it.
            tokio::task::spawn_blocking(move || waits.recv()).await.unwrap().unwrap();
            let urgent = store.write_urgent(noting(&order, "urgent"));
            let release = async {
                tokio::task::yield_now().await;
                go.send(()).unwrap();
            };
            tokio::join!(urgent, release).0
        }
    };
    let (first, ordinary, urgent) = tokio::join!(first, ordinary, urgent);
    assert!(first.is_ok() && urgent.is_ok() && ordinary.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(order.lock().unwrap()[0], "urgent");
}

#[tokio::test]
async fn an_urgent_query_finds_a_connection_whatever_the_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let gate = Arc::new(std::sync::Barrier::new(7));
    let (opens, closed) = tokio::sync::watch::channel(false);
    let slow = join_all((0..20).map(|n| {
        let (gate, mut closed) = (gate.clone(), closed.clone());
        store.read(move |connection| {
            if n < 6 {
                gate.wait();
                futures::executor::block_on(closed.wait_for(|open| *open)).unwrap();
            }
            count(connection)
        })
    }));
    let urgent = async {
        // All ordinary connections are in use from here on.
        let gate = gate.clone();
        tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
        let found = store.read_urgent(count).await;
        opens.send(true).unwrap();
        found
    };
    let (slow, urgent) = tokio::join!(slow, urgent);
    assert_eq!(urgent.unwrap(), 0);
    assert!(slow.into_iter().all(|found| found.unwrap() == 0));
}

#[tokio::test]
async fn of_two_processes_the_one_with_something_urgent_is_next() {
    let dir = tempfile::tempdir().unwrap();
    let (busy, admin, order) = (open(&dir), open(&dir), Arc::default());
    let (entered, waits) = std::sync::mpsc::channel::<()>();
    let (go, held) = std::sync::mpsc::channel::<()>();
    let first = busy.write(move |_| {
        let _ = entered.send(());
        let _ = held.recv();
        Ok::<_, Failure>(())
    });
    let ordinary = async {
        // Two groups and more, the first of which is being written.
        join_all((0..600).map(|n| busy.write(noting(&order, &format!("ordinary {n}"))))).await
    };
    let turn = std::fs::File::open(dir.path().join("file-turn")).unwrap();
    let urgent = async {
        // The other is writing already.
        tokio::task::spawn_blocking(move || waits.recv()).await.unwrap().unwrap();
        let urgent = admin.write_urgent(noting(&order, "urgent"));
        let release = async {
            while turn.try_lock().is_ok() {
                turn.unlock().unwrap();
                tokio::task::yield_now().await;
            }
            go.send(()).unwrap();
        };
        tokio::join!(urgent, release).0
    };
    let (first, ordinary, urgent) = tokio::join!(first, ordinary, urgent);
    assert!(first.is_ok() && urgent.is_ok() && ordinary.into_iter().all(|outcome| outcome.is_ok()));
    let place = order.lock().unwrap().iter().position(|name| name == "urgent").unwrap();
    assert!(place < 256, "it waited for {place} steps, more than one group");
}
