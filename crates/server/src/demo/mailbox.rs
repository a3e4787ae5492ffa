//! The demo's mail server: it keeps what goes out, so that a newcomer sees it, and sends nothing on.

use lettre::Message;
use mail_parser::MessageParser;
use tokio::net::TcpListener;

use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::notification::inbox;
use crate::smtp::{self, Envelope, Flavor};

/// Its name, also for what it finds out about senders.
const NAME: &str = "demo.riposte";

/// Opens it on this machine and has mail go there; `None` when the operator set another one up.
pub async fn open(config: &mut Config) -> Result<Option<TcpListener>> {
    if config.mail.smtp.is_some() {
        return Ok(None);
    }
    let failed = |error| Error::Internal(format!("the demo's mail server cannot listen: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    config.mail.smtp = Some(format!("smtp://{}", listener.local_addr().map_err(failed)?));
    let mail = &mut config.mail;
    mail.from.get_or_insert_with(|| "Fjordwatch <soc@fjordwatch.example>".to_owned());
    mail.replies.get_or_insert_with(|| "reply@fjordwatch.example".to_owned());
    mail.authority.get_or_insert_with(|| NAME.to_owned());
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
            let _ = smtp::converse(stream, Flavor::Smtp, NAME, deliver).await;
        });
    }
}

/// Writes an answer to a mail that is kept, as its receiver would, and has it come in as from a mail
/// server that knows the receiver.
///
/// # Errors
/// `NotFound` when it is not kept any more, `Conflict` when it takes no answer.
pub async fn answer(app: &App, id: &str, text: &str) -> Result<()> {
    let found = app.mailbox.mails().into_iter().find_map(|(_, mail)| {
        let read = MessageParser::default().parse(&mail.data)?;
        let back = read.reply_to().and_then(|it| it.first()).and_then(|it| it.address());
        let subject = read.subject().unwrap_or_default().to_owned();
        (read.message_id() == Some(id)).then(|| (mail.to.clone(), back.map(str::to_owned), subject))
    });
    let Some((to, back, subject)) = found else {
        return Err(Error::NotFound("the mail is not kept any more".to_owned()));
    };
    let (Some(from), Some(back)) = (to.first(), back) else {
        return Err(Error::Conflict("the mail takes no answer".to_owned()));
    };
    let bad = |error: &dyn std::fmt::Display| Error::Invalid(format!("no answer: {error}"));
    let own = format!("<{}@{NAME}>", app.random.uuid()?);
    let mail = Message::builder()
        .from(from.parse().map_err(|error| bad(&error))?)
        .to(back.parse().map_err(|error| bad(&error))?)
        .subject(format!("Re: {subject}"))
        .message_id(Some(own))
        .body(text.to_owned())
        .map_err(|error| bad(&error))?;
    let domain = from.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let found = format!("Authentication-Results: {NAME}; dmarc=pass header.from={domain}\r\n");
    let data = [found.into_bytes(), mail.formatted()].concat();
    let answers = inbox::take(app, &Envelope { from: from.clone(), to: vec![back], data }).await;
    if answers.iter().all(|answer| answer.starts_with('2')) {
        return Ok(());
    }
    Err(Error::Internal(format!("the answer was not taken: {}", answers.join(", "))))
}
