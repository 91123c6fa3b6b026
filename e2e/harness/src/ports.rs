//! Free ports that stay free.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::Mutex,
};

use anyhow::{Context, Result};

/// Lowest port given out: well-known services live below.
const LOWEST: u16 = 10_000;
/// First port of the kernel's ephemeral range where it can't be read.
const EPHEMERAL: u16 = 32_768;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port on which nothing listens at `ip` nor on 127.0.0.1. It is below the kernel's ephemeral range, so that no outgoing connection
/// takes it while its server is stopped, and this process gives it out once.
pub fn free(ip: IpAddr) -> Result<u16> {
    let count = u64::from(ephemeral_start().saturating_sub(LOWEST).max(1));
    let random = RandomState::new().hash_one(std::process::id());
    let mut given = GIVEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let given = given.get_or_insert_default();
    let bindable = |ip, port| TcpListener::bind((ip, port)).is_ok();
    let port = (0..count)
        .map(|step| LOWEST + u16::try_from((random % count + step) % count).unwrap_or_default())
        .find(|port| !given.contains(port) && bindable(ip, *port) && bindable(LOOPBACK, *port))
        .with_context(|| format!("no free port at {ip}: is this an address of this host?"))?;
    given.insert(port);
    Ok(port)
}

fn ephemeral_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|start| *start > LOWEST)
        .unwrap_or(EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_is_ephemeral() {
        let ports: Vec<u16> = (0..50).map(|_| free(LOOPBACK).unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 50);
        assert!(ports.iter().all(|port| (LOWEST..ephemeral_start()).contains(port)));
    }

    #[test]
    fn an_address_of_another_host_is_refused_with_a_reason() {
        let error = free("192.0.2.1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
    }
}
