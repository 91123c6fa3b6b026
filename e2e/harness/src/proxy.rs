//! A way to a server that can be made bad: nothing gets through any more, or everything takes its time. It forwards
//! bytes and knows nothing of what they mean, so TLS stays between client and server.

use std::{io, net::Ipv4Addr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As if it were not there.
    Open,
    /// Connections are taken and kept, and nothing gets through.
    Stalled,
    /// Each piece that is read waits this long before it goes on.
    Slow(Duration),
}

/// A proxy on loopback; it and its connections end when this is dropped.
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and forwards to `port` on loopback.
    pub async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (way, seen) = watch::channel(Way::Open);
        Ok(Self { port: listener.local_addr()?.port(), way, task: tokio::spawn(accept(listener, port, seen)) })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the way so, for what is under way too.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, way: watch::Receiver<Way>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, port, way.clone()));
    }
}

async fn forward(mut client: TcpStream, port: u16, way: watch::Receiver<Way>) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // Either side that ends ends both.
    tokio::select! {
        outcome = pieces(from_client, to_server, way.clone()) => outcome,
        outcome = pieces(from_server, to_client, way) => outcome,
    }
}

async fn pieces(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let way = *way.wait_for(|way| *way != Way::Stalled).await.map_err(io::Error::other)?;
        if let Way::Slow(wait) = way {
            tokio::time::sleep(wait).await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
