//! Percent coding of a query string, in the form spelling where `+` is a blank.

use super::BadQuery;

/// Decodes one key or value.
pub(super) fn decode(raw: &str) -> Result<String, BadQuery> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return Err(BadQuery::new("query string has a broken percent encoding")),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| BadQuery::new("query string is not valid UTF-8"))
}

/// Encodes a value, or a key whose `$` stays readable: only unreserved characters stay as they are.
pub(super) fn encode(text: &str, key: bool, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'$' if key => out.push('$'),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
