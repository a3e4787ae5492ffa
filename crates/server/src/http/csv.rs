//! Comma-separated values (RFC 4180) that a spreadsheet shows and does not carry out.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

/// An answer that is saved as a file; `disposition` is the whole header, with a name of ours.
#[must_use]
pub fn file(disposition: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    response
}

/// One row with its line break. A cell that a spreadsheet would take for a formula begins with an
/// apostrophe instead; NUL, which nothing can show, is left out.
#[must_use]
pub fn row(cells: &[&str]) -> String {
    let mut row = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            row.push(',');
        }
        let cell = cell.replace('\0', "");
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        let quoted = formula || cell.contains([',', '"', '\r', '\n']);
        if quoted {
            row.push('"');
        }
        if formula {
            row.push('\'');
        }
        if quoted {
            row.push_str(&cell.replace('"', "\"\""));
            row.push('"');
        } else {
            row.push_str(&cell);
        }
    }
    row.push_str("\r\n");
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell_and_no_formula() {
        assert_eq!(row(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(
            row(&["say \"hi\", he said", "two\nlines"]),
            "\"say \"\"hi\"\", he said\",\"two\nlines\"\r\n"
        );
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\0=1"] {
            let text = row(&[formula]);
            assert!(text.starts_with("\"'"), "{text:?}");
            assert!(!text.contains('\0'), "{text:?}");
        }
    }
}
