//! The form encoding of request bodies and of `Basic` credentials.

/// The pairs of a form, decoded; broken percent signs stay as they are.
#[must_use]
pub fn pairs(form: &[u8]) -> Vec<(String, String)> {
    form.split(|byte| *byte == b'&')
        .filter(|piece| !piece.is_empty())
        .take(256)
        .map(|piece| {
            let middle = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
            let (name, value) = piece.split_at(middle);
            (plain(name), plain(value.get(1..).unwrap_or_default()))
        })
        .collect()
}

/// One value, decoded.
#[must_use]
pub fn plain(coded: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(coded.len());
    let mut rest = coded;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match (*first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    high * 16 + low
                }
                _ => b'%',
            },
            (other, _) => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs(b"a=b+c&&scope=https%3A%2F%2Fx%2F.default&s=%zz%2&lone"),
            [
                pair("a", "b c"),
                pair("scope", "https://x/.default"),
                pair("s", "%zz%2"),
                pair("lone", ""),
            ]
        );
    }
}
