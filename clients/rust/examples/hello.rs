//! Two people, one message: `cargo run -p client --example hello -- http://127.0.0.1:8080`

use client::account::Account;
use client::dial::{Client, Options};
use client::session::{Content, Event};
use protocol::ChannelId;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let account = Account::new(&std::env::args().nth(1).ok_or("usage: hello http://HOST:PORT")?)?;
    let start = async |name: String| {
        account.signup(&name, "a long password").await?;
        let login = account.login(&name, "a long password", None).await?;
        let options = Options { account: account.clone(), login, renew: None, saved: None };
        Ok::<_, Box<dyn std::error::Error>>(Client::start(options)?)
    };
    let run = std::process::id();
    let (minji, _) = start(format!("minji{run}")).await?;
    let (joon, mut events) = start(format!("joon{run}")).await?;
    minji.send_text(ChannelId::direct(minji.user(), joon.user()), "Annyeong, Joon!").await?;
    loop {
        if let Event::Message(message) = events.next().await?
            && let Content::Text(text) = message.content
        {
            println!("{}: {text}", message.sender);
            return Ok(());
        }
    }
}
