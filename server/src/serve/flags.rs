//! Flags of `maru serve`: one for each setting, made from their list, and one for the file.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::config::SETTINGS;

/// What was on the command line. Values are checked with those of the other layers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Name of the setting and value, as written.
    pub set: Vec<(String, String)>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf));
        let file =
            file.help("TOML file of settings; their names are the flags' with _ for - [env: MARU_CONFIG]");
        let settings = SETTINGS.iter().map(|setting| {
            let help = format!("{} [env: {}]", setting.help, setting.variable());
            Arg::new(setting.name)
                .long(setting.flag())
                .value_name(setting.value)
                .help(help)
                .allow_hyphen_values(true)
        });
        command.arg(file).args(settings)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let set = SETTINGS.iter().filter_map(|setting| {
            let value = matches.get_one::<String>(setting.name)?;
            Some((setting.name.to_owned(), value.clone()))
        });
        Ok(Self { config: matches.get_one::<PathBuf>("config").cloned(), set: set.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn every_setting_is_a_flag() {
        let command = Flags::augment_args(Command::new("serve"));
        command.clone().debug_assert();
        let line = ["serve", "--config", "f.toml", "--group-members", "7", "--idle-users", "-1"];
        let matches = command.clone().try_get_matches_from(line).unwrap();
        let flags = Flags::from_arg_matches(&matches).unwrap();
        assert_eq!(flags.config, Some(PathBuf::from("f.toml")));
        let set: Vec<_> = flags.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(set, [("group_members", "7"), ("idle_users", "-1")]);
        assert!(command.try_get_matches_from(["serve", "--group-member", "7"]).is_err());
    }

    /// What a newcomer copies from the documents must start.
    #[test]
    fn documented_starts_are_taken() {
        let mut lines = 0;
        for page in [include_str!("../../../docs/operations.md"), include_str!("../../../docs/load.md")] {
            for line in page.lines().filter(|line| line.starts_with("maru serve ")) {
                let line = line.split_once('#').map_or(line, |(command, _)| command);
                let command = Flags::augment_args(Command::new("serve"));
                let words = line.split_whitespace().skip(1);
                let matches = command.try_get_matches_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
                let flags = Flags::from_arg_matches(&matches).unwrap();
                let config = load(&flags.set, Vec::new(), None).unwrap_or_else(|e| panic!("{line}: {e}"));
                config.refuse_clear_text().unwrap_or_else(|e| panic!("{line}: {e}"));
                lines += 1;
            }
        }
        assert!(lines >= 4, "{lines}");
    }
}
