//! Sockets, as `/proc/net` has them, and whose they are.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::files;
use crate::host::proc;

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// `tcp` or `udp`.
    pub(crate) protocol: &'static str,
    /// Here.
    pub(crate) local: SocketAddr,
    /// There; the unspecified address and port 0 when it is not connected.
    pub(crate) remote: SocketAddr,
    /// Whether it waits for others.
    pub(crate) listens: bool,
    /// Whether it is connected.
    pub(crate) established: bool,
    /// Its number, by which its process is found.
    pub(crate) inode: u64,
}

/// Every socket of IP.
pub(crate) fn all() -> Vec<Socket> {
    [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")]
        .into_iter()
        .flat_map(|(file, protocol)| {
            let table = files::text(format!("/proc/net/{file}"), 32 << 20);
            read(&table, protocol)
        })
        .collect()
}

fn read(table: &str, protocol: &'static str) -> Vec<Socket> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote) = (end(fields.get(1)?)?, end(fields.get(2)?)?);
        let state = *fields.get(3)?;
        Some(Socket {
            protocol,
            listens: state == if protocol == "tcp" { "0A" } else { "07" } && remote.port() == 0,
            established: state == "01",
            local,
            remote,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// An address as the kernel writes it: words of 32 bits in the machine's order.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |from: usize| {
        let bits = u32::from_str_radix(address.get(from..from + 8)?, 16).ok()?;
        Some(bits.to_ne_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Which process has which socket: number and short name. Looks at every open file of every
/// process.
pub(crate) fn owners() -> HashMap<u64, (i32, String)> {
    let mut owners = HashMap::new();
    for process in proc::all() {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else { continue };
        for entry in entries.flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let inode = target
                .to_str()
                .and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                owners.entry(inode).or_insert_with(|| (process.pid, process.name.clone()));
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1\n\
            1: 020063C6:C001 010063C6:01BB 01 00000000:00000000 00:00000000 00000000 0 0 4243 1\n";
        let found = read(table, "tcp");
        assert_eq!(found[0].local, "127.0.0.1:8080".parse().unwrap());
        assert!(found[0].listens && !found[0].established && found[0].inode == 4242);
        assert_eq!(found[1].remote, "198.99.0.1:443".parse().unwrap());
        assert!(found[1].established && !found[1].listens);
        let six = end("B80D0120000000000000000001000000:0035").unwrap();
        assert_eq!(six, "[2001:db8::1]:53".parse().unwrap());
        assert_eq!(end("zz:1"), None);
    }

    #[test]
    fn a_listening_socket_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let found = all().into_iter().find(|socket| socket.local == local).unwrap();
        assert!(found.listens);
        assert_eq!(owners()[&found.inode].0, proc::own());
    }
}
