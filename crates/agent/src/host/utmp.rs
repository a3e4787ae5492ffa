//! Who is signed in and was: `utmp` and `wtmp`, records of 384 bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use riposte_wire::SignedIn;

use crate::clock::SECOND;
use crate::host::proc;

const RECORD: usize = 384;
const USER_PROCESS: i16 = 7;

/// A record of somebody's signing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The process that holds the session.
    pub(crate) pid: i32,
    /// Who, where and since when.
    pub(crate) who: SignedIn,
}

/// Who is signed in now: a record whose process is gone is left over.
pub(crate) fn signed_in() -> Vec<Entry> {
    let path = ["/run/utmp", "/var/run/utmp"].into_iter().find(|path| Path::new(path).exists());
    let mut entries = path.map(|path| entries(path, 10_000)).unwrap_or_default();
    entries.retain(|entry| proc::one(entry.pid).is_some());
    entries
}

/// The signings in among the last so many records of a file.
pub(crate) fn entries(path: &str, most: u64) -> Vec<Entry> {
    let bytes = last(path, most).unwrap_or_default();
    bytes.chunks_exact(RECORD).filter_map(read).collect()
}

fn last(path: &str, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let record = RECORD as u64;
    let records = file.metadata()?.len() / record;
    file.seek(SeekFrom::Start(records.saturating_sub(most) * record))?;
    let mut bytes = Vec::new();
    file.take(most.saturating_mul(record)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(record: &[u8]) -> Option<Entry> {
    let bytes = |from: usize, count: usize| record.get(from..from + count);
    let number = |from: usize| Some(i32::from_le_bytes(bytes(from, 4)?.try_into().ok()?));
    if i16::from_le_bytes(bytes(0, 2)?.try_into().ok()?) != USER_PROCESS {
        return None;
    }
    let text = |from: usize, count: usize| {
        let field = bytes(from, count)?;
        let end = field.iter().position(|b| *b == 0).unwrap_or(count);
        Some(String::from_utf8_lossy(field.get(..end)?).into_owned())
    };
    let host = text(76, 256)?;
    let address: [u8; 16] = bytes(348, 16)?.try_into().ok()?;
    let from = match address {
        _ if !host.is_empty() => Some(host),
        [a, b, c, d, rest @ ..] if rest == [0; 12] => {
            let four = Ipv4Addr::new(a, b, c, d);
            (!four.is_unspecified()).then(|| IpAddr::from(four).to_string())
        }
        six => Some(IpAddr::from(Ipv6Addr::from(six)).to_string()),
    };
    let since = i64::from(number(340)?) * SECOND + i64::from(number(344)?);
    let who = SignedIn { user: text(44, 32)?, line: text(8, 32)?, from, since };
    Some(Entry { pid: number(4)?, who })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_half_a_one_is_not() {
        let mut record = vec![0_u8; RECORD];
        record[0] = 7;
        record[4..8].copy_from_slice(&42_i32.to_le_bytes());
        record[8..13].copy_from_slice(b"pts/3");
        record[44..48].copy_from_slice(b"kari");
        record[340..344].copy_from_slice(&1_000_i32.to_le_bytes());
        record[348..352].copy_from_slice(&[192, 0, 2, 9]);
        let entry = read(&record).unwrap();
        assert_eq!(entry.pid, 42);
        assert_eq!((entry.who.user.as_str(), entry.who.line.as_str()), ("kari", "pts/3"));
        assert_eq!(
            (entry.who.from.as_deref(), entry.who.since),
            (Some("192.0.2.9"), 1_000 * SECOND)
        );
        record[0] = 8;
        assert_eq!(read(&record), None);
        assert_eq!(read(&record[..100]), None);
    }
}
