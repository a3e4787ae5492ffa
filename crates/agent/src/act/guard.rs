//! stub
#[derive(Debug)]
pub(crate) struct Guard;
impl Guard {
    pub(crate) fn new() -> Self {
        Self
    }
}
