//! The demo's mail server: it keeps what goes out, so that a newcomer sees it, and sends nothing on.

use tokio::net::TcpListener;

use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::smtp::{self, Envelope, Flavor};

/// Opens it on this machine and has mail go there; `None` when the operator set another one up.
pub async fn open(config: &mut Config) -> Result<Option<TcpListener>> {
    if config.mail.smtp.is_some() {
        return Ok(None);
    }
    let failed = |error| Error::Internal(format!("the demo's mail server cannot listen: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    config.mail.smtp = Some(format!("smtp://{}", listener.local_addr().map_err(failed)?));
    config.mail.from.get_or_insert_with(|| "Fjordwatch <soc@fjordwatch.example>".to_owned());
    Ok(Some(listener))
}

/// Takes what comes, for as long as the process runs.
pub async fn keep(app: App, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let app = app.clone();
        tokio::spawn(async move {
            let deliver = |mail: Envelope| {
                let answers = vec!["250 2.0.0 kept".to_owned(); mail.to.len()];
                app.mailbox.keep(app.clock.now(), mail);
                std::future::ready(answers)
            };
            // Who hangs up has hung up.
            let _ = smtp::converse(stream, Flavor::Smtp, "demo.riposte", deliver).await;
        });
    }
}
