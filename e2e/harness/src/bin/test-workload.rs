//! What the harness's own tests run: a workload with readiness, a command that shows what it was given, and a parent
//! of children.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use harness::{
    process::{Server, Spec},
    run::Folder,
};
use serde_json::json;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("run") => serve(&args),
        Some("show") => show(&args),
        Some("parent") => parent(&args[1..]),
        _ => bail!("run, show or parent"),
    }
}

/// Ready unless its data folder holds a file `unready`; exits when asked for `/exit`.
fn serve(args: &[String]) -> Result<()> {
    let data = PathBuf::from(value(args, "--data-dir")?);
    let listener = TcpListener::bind(value(args, "--listen")?)?;
    println!("serving with {args:?}");
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        if line.contains("/exit") {
            bail!("asked to exit");
        }
        let status = if data.join("unready").exists() { "503 Service Unavailable" } else { "200 OK" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    Ok(())
}

/// Arguments, environment and standard input as JSON.
fn show(args: &[String]) -> Result<()> {
    let mut stdin = String::new();
    std::io::stdin().read_to_string(&mut stdin)?;
    let env: serde_json::Map<_, _> = env::vars().map(|(name, value)| (name, value.into())).collect();
    println!("{}", json!({"args": args, "env": env, "stdin": stdin}));
    Ok(())
}

/// Starts a child and prints its pid and folder; then waits to be killed, or panics when asked to.
fn parent(args: &[String]) -> Result<()> {
    let folder = Folder::new("parent", None)?;
    let asked = |word: &str| args.iter().any(|arg| arg == word);
    let spec = Spec::new("sleep", "sleep".into(), folder.path()).args(["600"]).detached(asked("detached"));
    let child = Server::new(spec);
    child.start()?;
    let pid = child.id().context("the child was just started")?.pid();
    println!("{pid} {}", folder.path().display());
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    assert!(!asked("panic"), "asked to panic");
    Ok(())
}

fn value<'a>(args: &'a [String], name: &str) -> Result<&'a str> {
    let found = args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    found.with_context(|| format!("no {name}=..."))
}
