//! What `lab check` runs in pods, as arguments in pairs: `write FILE`, `resolve NAME`,
//! `http HOST:PORT`, `tls HOST:PORT`.
//!
//! Each is tried until it works or its time is over, one line each; the exit code is 1 when one never did.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

/// For all attempts of one step: rules and DNS of a fresh cluster settle within seconds.
const DEADLINE: Duration = Duration::from_secs(40);
/// For connecting, and for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || arguments.len() % 2 == 1 {
        eprintln!("usage: lab-probe (write FILE | resolve NAME | http HOST:PORT | tls HOST:PORT)...");
        return ExitCode::from(2);
    }
    let mut all = true;
    for step in arguments.chunks_exact(2) {
        let (verb, object) = (step[0].as_str(), step[1].as_str());
        match until_deadline(|| attempt(verb, object)) {
            Ok(found) => println!("{verb} {object}: ok, {found}"),
            Err(error) => {
                all = false;
                println!("{verb} {object}: FAILED, {error}");
            }
        }
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn until_deadline(attempt: impl Fn() -> io::Result<String>) -> io::Result<String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match attempt() {
            Err(error) if Instant::now() < deadline && error.kind() != io::ErrorKind::InvalidInput => {
                drop(error);
                sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn attempt(verb: &str, object: &str) -> io::Result<String> {
    match verb {
        "write" => write(object),
        "resolve" => resolve(object),
        "http" => http(object),
        "tls" => tls(object),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "unknown verb")),
    }
}

/// Writes a file, synced to disk, and reads it again.
fn write(path: &str) -> io::Result<String> {
    let content = format!("written by pid {}", std::process::id());
    let mut file = std::fs::File::create(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    if std::fs::read_to_string(path)? != content {
        return Err(io::Error::other("read back something else"));
    }
    Ok(format!("{} bytes", content.len()))
}

fn resolve(name: &str) -> io::Result<String> {
    let address = (name, 0).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    Ok(address.ip().to_string())
}

/// Sends a request and shows the first line of the answer, whatever its status.
fn http(address: &str) -> io::Result<String> {
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = ask(address, request.as_bytes())?;
    match String::from_utf8_lossy(&answer).lines().next() {
        Some(line) if line.starts_with("HTTP/") => Ok(format!("answered {line:?}")),
        _ => Err(io::Error::other("the answer is not HTTP")),
    }
}

/// Offers TLS 1.0, which today's servers refuse by a TLS alert: what sends one is the server itself, and it takes no
/// TLS library to see that.
fn tls(address: &str) -> io::Result<String> {
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1]; // record, handshake, version
    hello.extend([0; 33]); // random and empty session id
    hello.extend([0, 2, 0, 0x2f, 1, 0]); // one cipher suite, no compression
    match ask(address, &hello)?.first() {
        Some(0x15) => Ok("answered with a TLS alert".to_owned()),
        _ => Err(io::Error::other("the answer is not TLS")),
    }
}

/// Sends a request and returns the beginning of the answer.
fn ask(address: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let target = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut buffer = [0; 128];
    let length = stream.read(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}
