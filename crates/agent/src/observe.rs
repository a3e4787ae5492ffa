//! stub
use crate::agent::Agent;
use crate::fault::Result;
use std::sync::Arc;
pub(crate) fn start(_agent: &Arc<Agent>) -> Result<()> {
    Ok(())
}
