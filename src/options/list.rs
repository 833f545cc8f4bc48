//! The list of a command's options, for programs.

use super::{Door, key, long, refusal};
use crate::{Error, Result};
use std::any::TypeId;
use std::sync::LazyLock;

/// What kind of value an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// YES or NO
    Boolean,
    /// A whole number
    Int,
    /// A number
    Float,
    /// One of [`OptionInfo::choices`]
    Choice,
    /// Text; the help says which
    String,
}

/// One option of a command.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OptionInfo {
    /// The key, e.g. `MIN_VALID`.
    pub name: String,
    pub kind: Kind,
    pub default: Option<String>,
    /// Values and their meaning (possibly empty) of [`Kind::Choice`].
    pub choices: Vec<(String, String)>,
    /// How many values it takes, separated by blanks.
    pub values: usize,
    /// What the values are called, e.g. `XOFF`.
    pub value_names: Vec<String>,
    /// Whether it may be given more than once.
    pub repeat: bool,
    pub group: String,
    pub help: String,
}

/// The command line's definition.
static PROGRAM: LazyLock<clap::Command> = LazyLock::new(|| {
    let mut program = crate::cli::program();
    program.build();
    program
});

/// Names of all commands, such as `synth pair`, and what they do.
pub fn commands() -> Vec<(String, String)> {
    let about = |c: &clap::Command| c.get_about().map(ToString::to_string).unwrap_or_default();
    let mut all = Vec::new();
    for command in PROGRAM.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        if !command.has_subcommands() {
            all.push((command.get_name().into(), about(command)));
        }
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
            all.push((format!("{} {}", command.get_name(), sub.get_name()), about(sub)));
        }
    }
    all
}

/// Whether `command` has the option `name`, in capitals.
pub fn has(command: &str, name: &str) -> bool {
    definition(command).is_ok_and(|c| c.get_arguments().filter_map(long).any(|l| key(l) == name))
}

/// The definition of one command.
pub(super) fn definition(command: &str) -> Result<&'static clap::Command> {
    let mut found: &'static clap::Command = &PROGRAM;
    for word in command.split_whitespace() {
        let next = found.find_subcommand(word);
        found = next.ok_or_else(|| Error::option("command", command, choices(&PROGRAM, found)))?;
    }
    match found.has_subcommands() {
        true => Err(Error::option("command", command, choices(&PROGRAM, found))),
        false => Ok(found),
    }
}

fn choices(program: &clap::Command, known: &clap::Command) -> String {
    let names: Vec<&str> = known
        .get_subcommands()
        .filter(|c| c.get_name() != "help" && !c.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    match std::ptr::eq(program, known) {
        true => format!("there is no such command; choose one of {}", names.join(", ")),
        false => {
            format!("add one of {}, e.g. `{} {}`", names.join(", "), known.get_name(), names.first().unwrap_or(&""))
        }
    }
}

/// The options of `command` (`displacement`, `synth pair`, ...) in the order of its help.
///
/// # Errors
/// [`Error::Option`] for a command that does not exist.
pub fn list(command: &str, door: Door) -> Result<Vec<OptionInfo>> {
    let offered = definition(command)?.get_arguments().filter(|a| refusal(a, door).is_none() && !a.is_hide_set());
    Ok(offered.filter_map(|a| Some(describe(a, long(a)?))).collect())
}

fn describe(argument: &clap::Arg, long: &str) -> OptionInfo {
    let takes_values = argument.get_action().takes_values();
    let choices: Vec<(String, String)> = match takes_values {
        true => argument.get_possible_values().iter().filter(|p| !p.is_hide_set()).map(choice).collect(),
        false => Vec::new(),
    };
    let id = argument.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|t| id == *t);
    let whole = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
    ];
    let values = argument.get_num_args().map_or(1, |n| n.max_values());
    let kind = match () {
        _ if !takes_values => Kind::Boolean,
        _ if !choices.is_empty() => Kind::Choice,
        _ if values > 1 => Kind::String,
        _ if is(&whole) => Kind::Int,
        _ if is(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) => Kind::Float,
        _ => Kind::String,
    };
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    let default = match kind {
        Kind::Boolean => Some("NO".into()),
        _ => (!defaults.is_empty()).then(|| defaults.join(" ")),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    OptionInfo {
        name: key(long),
        kind,
        default,
        choices,
        values: if takes_values { values } else { 1 },
        value_names: argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect(),
        repeat: matches!(argument.get_action(), clap::ArgAction::Append),
        group: argument.get_help_heading().unwrap_or("Options").into(),
        help,
    }
}

fn choice(value: &clap::builder::PossibleValue) -> (String, String) {
    (value.get_name().into(), value.get_help().map(ToString::to_string).unwrap_or_default())
}

/// The list in the form of GDAL's open option lists: `<OpenOptionList><Option name='...' ...>`, with `root` as the
/// outer element's name.
pub fn xml(root: &'static str, options: &[OptionInfo]) -> String {
    use crate::raster::xml::Element;
    let mut inner = String::new();
    for option in options {
        let kind = match option.kind {
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Choice => "string-select",
            Kind::String => "string",
        };
        let mut element = Element::new("Option").attribute("name", &option.name).attribute("type", kind);
        element = element.attribute("description", &option.help);
        if let Some(default) = &option.default {
            element = element.attribute("default", default);
        }
        let values: String = option.choices.iter().map(|(value, _)| Element::new("Value").text(value)).collect();
        inner += &element.xml(&values);
    }
    Element::new(root).xml(&inner)
}

/// The list as JSON: an array of objects with the fields of [`OptionInfo`].
pub fn json(options: &[OptionInfo]) -> serde_json::Value {
    let list = options.iter().map(|o| {
        let choices = o.choices.iter().map(|(value, help)| serde_json::json!({ "value": value, "help": help }));
        serde_json::json!({
            "name": o.name,
            "type": o.kind,
            "default": o.default,
            "choices": choices.collect::<Vec<_>>(),
            "values": o.values,
            "value_names": o.value_names,
            "repeat": o.repeat,
            "group": o.group,
            "help": o.help,
        })
    });
    serde_json::Value::Array(list.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(list: &'a [OptionInfo], name: &str) -> &'a OptionInfo {
        list.iter().find(|o| o.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn the_list_is_the_command_lines() {
        let options = list("displacement", Door::Files).unwrap();
        let method = named(&options, "METHOD");
        assert_eq!((method.kind, method.default.as_deref()), (Kind::Choice, Some("lsm")));
        assert!(method.choices.iter().any(|(v, help)| v == "frequency" && !help.is_empty()));
        assert_eq!(named(&options, "RESAMPLE").kind, Kind::Boolean);
        assert_eq!(named(&options, "BAND").kind, Kind::Int);
        assert_eq!(named(&options, "MIN_VALID").kind, Kind::Float);
        let region = named(&options, "REGION");
        assert_eq!((region.values, region.value_names[0].as_str()), (4, "XOFF"));
        assert!(named(&options, "CO").repeat && !region.repeat);
        for terminal in ["QUIET", "JSON", "CONFIG", "HELP", "VERSION"] {
            assert!(!options.iter().any(|o| o.name == terminal), "{terminal}");
        }
        let memory = list("displacement", Door::Virtual).unwrap();
        assert!(!memory.iter().any(|o| ["CO", "OF", "OVERWRITE"].contains(&o.name.as_str())));
        assert!(memory.iter().any(|o| o.name == "UNITS"));
    }

    #[test]
    fn every_command_has_a_list() {
        let all = commands();
        assert!(all.iter().any(|(c, _)| c == "displacement") && all.iter().any(|(c, _)| c == "synth pair"), "{all:?}");
        for (command, help) in all {
            assert!(list(&command, Door::Files).is_ok() && !help.is_empty(), "{command}");
        }
        assert!(has("displacement", "THREADS") && !has("info", "THREADS"));
        let text = |c: &str| list(c, Door::Files).unwrap_err().to_string();
        assert!(text("synth").contains("synth pair"), "{}", text("synth"));
        assert!(text("nothing").contains("displacement"), "{}", text("nothing"));
    }

    #[test]
    fn xml_is_gdals_form() {
        let text = xml("OpenOptionList", &list("displacement", Door::Virtual).unwrap());
        assert!(text.starts_with("<OpenOptionList><Option name=\"METHOD\" type=\"string-select\""), "{text}");
        assert!(text.contains("<Value>lsm</Value>") && text.ends_with("</OpenOptionList>"));
        assert!(text.contains("name=\"RESAMPLE\" type=\"boolean\""));
        let rows = json(&list("evaluate", Door::Files).unwrap());
        assert_eq!(rows[0]["name"], "TRACE");
        assert_eq!(rows[0]["default"], serde_json::Value::Null);
    }
}
