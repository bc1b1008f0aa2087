//! `readalong token`: what programs sign in with.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    cmd::{list::for_each, user},
    data::Data,
    moment, output,
};

/// API tokens: what programs sign in with
#[derive(Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    data: Data,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token and print it, this once
    New {
        /// What it is for
        name: String,
        /// The user that it stands for (default: the first owner)
        #[arg(long)]
        user: Option<String>,
        /// When it ends: 12h, 90d, a date (default: never)
        #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
        expires: Option<readalong_model::Timestamp>,
    },
    /// List tokens; not the tokens themselves, which are stored nowhere
    List {
        /// Whose (default: those of the first owner)
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Print one line of JSON for each, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Remove a token: whoever has it is out at once
    Rm {
        /// Number of the token, as `token list` prints it
        id: i64,
    },
}

impl Token {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.data.client()?;
        match self.command {
            Command::New {
                name,
                user,
                expires,
            } => {
                let mut body = Map::new();
                body.insert("name".to_owned(), json!(name));
                if let Some(expires) = expires {
                    body.insert("expires_at".to_owned(), json!(expires));
                }
                if let Some(user) = user {
                    body.insert("user".to_owned(), json!(user::id_of(&client, &user)?));
                }
                let token: Value = client.post("/api/v1/tokens", &Value::Object(body))?;
                output::note(&format!(
                    "Keep it: it is shown this once. `readalong token rm {}` takes it back.",
                    token["id"]
                ));
                output::print_line(token["token"].as_str().unwrap_or_default())?;
            }
            Command::List { user, json } => {
                let path = match user {
                    Some(user) => format!("/api/v1/tokens?user={}", user::id_of(&client, &user)?),
                    None => "/api/v1/tokens".to_owned(),
                };
                let mut is_any = false;
                for_each(&client, &path, &mut |token| {
                    is_any = true;
                    print(token, json)
                })?;
                if !is_any && !json {
                    output::note("No tokens. Make one with `readalong token new NAME`.");
                }
            }
            Command::Rm { id } => {
                client.delete(&format!("/api/v1/tokens/{id}"))?;
                output::print_line(&format!("token {id} is removed"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(token: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return output::print_line(&token.to_string());
    }
    let text = |member: &str| token[member].as_str().unwrap_or_default();
    let ends = token["expires_at"]
        .as_str()
        .map(|at| format!(", until {at}"))
        .unwrap_or_default();
    output::print_line(&format!(
        "{:>4}  {} (since {}{ends})",
        token["id"],
        text("name"),
        text("created_at").get(..10).unwrap_or_default()
    ))
}
