//! `shiftmap model list | info`

use super::common::Common;
use super::ui::Ui;
use crate::Result;
use crate::net::card::{Backward, Card, Kind};
use crate::net::models::{self, Model};
use crate::net::{NetOptions, session::Network};
use clap::Subcommand;

/// Networks for --method net: which there are, and what one says about itself.
#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    List(ListArgs),
    Info(InfoArgs),
}

/// Networks in the folders of models.
///
/// Looked for in the folders of the environment variable SHIFTMAP_MODELS, then beside the program and the library.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES\n  shiftmap model list\n  shiftmap model list --json")]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

/// What a network says about itself (its card), and whether it runs here.
///
/// MODEL is a name from `shiftmap model list` or an ONNX file. The card is in the file's metadata; models/README.md says
/// what its keys mean. A file with a wrong or incomplete card is refused, and the key is named. Whether the network
/// runs is found out when ONNX Runtime is there.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES\n  shiftmap model info flk\n  shiftmap model info trained/mine.onnx --json")]
struct InfoArgs {
    /// Name or file
    model: String,

    /// Library of ONNX Runtime, or a folder with it [default: ORT_DYLIB_PATH, then beside shiftmap, then Python packages]
    #[arg(long, value_name = "FILE|FOLDER")]
    onnxruntime: Option<String>,

    #[command(flatten)]
    common: Common,
}

impl Args {
    pub fn common(&self) -> &Common {
        match &self.what {
            What::List(a) => &a.common,
            What::Info(a) => &a.common,
        }
    }
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    match &args.what {
        What::List(_) => list(ui),
        What::Info(a) => info(a, ui),
    }
}

fn list(ui: &Ui) -> Result<()> {
    let all = models::list();
    if all.is_empty() {
        let folders = crate::net::places::model_folders();
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        ui.print(&match folders.is_empty() {
            true => "no models: no folder of models was found (SHIFTMAP_MODELS may name one)".into(),
            false => format!("no models in {}", folders.join(", ")),
        });
    }
    for found in &all {
        ui.print(&match (&found.model, &found.error) {
            (Some(m), _) => format!(
                "{:<20} {:<8} {:<8} {:<8} error {:.4} {} on held-out data, {:.1} MB, {}",
                found.name,
                m.card.version,
                word(&m.card.kind),
                word(&m.card.sensor),
                m.card.mae,
                units(&m.card).0,
                m.size as f64 / 1e6,
                found.path
            ),
            (None, why) => format!("{:<20} unusable: {}", found.name, why.as_deref().unwrap_or("unknown")),
        });
    }
    ui.print_json(&all)
}

/// The units of a card's error and of its largest displacement.
fn units(card: &Card) -> (&'static str, &'static str) {
    if card.kind == Kind::InsarGnss { ("of the scale", "m") } else { ("px", "px") }
}

/// A value as its word in the card.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) | Err(_) => "-".into(),
        Ok(other) => other.to_string(),
    }
}

fn info(args: &InfoArgs, ui: &Ui) -> Result<()> {
    let model = Model::find(&args.model)?;
    let options = NetOptions { onnxruntime: args.onnxruntime.clone(), ..NetOptions::default() };
    let c = &model.card;
    let backward = |s: Backward| format!("that of a look backwards x {}, and {} px", s.factor, s.floor);
    let lines = [
        ("file", format!("{} ({:.2} MB)", model.path, model.size as f64 / 1e6)),
        ("SHA-256", model.sha256.clone()),
        ("name, version", c.title()),
        ("kind", word(&c.kind)),
        ("sensor", word(&c.sensor)),
        ("bands", c.bands.to_string()),
        ("front end", word(&c.front_end)),
        ("passes", c.passes.to_string()),
        ("sigma", c.sigma.map_or("-".into(), backward)),
        ("normalisation", word(&c.normalisation)),
        ("multiple, halo, tile", format!("{}, {}, {} px", c.multiple, c.halo, c.tile)),
        ("largest displacement", format!("{} {}", c.max_displacement, units(c).1)),
        ("error on held-out data", format!("{} {} (mean absolute, one component)", c.mae, units(c).0)),
        ("training", format!("{}, seed {}", c.training, c.seed)),
        ("licence", c.licence.clone()),
    ];
    for (name, value) in &lines {
        ui.print(&format!("{name}: {value}"));
    }
    let trouble = Network::new(&model, &options).err().map(|e| e.to_string());
    ui.print(&match &trouble {
        None => "runs here: yes".to_string(),
        Some(why) => format!("runs here: no: {why}"),
    });
    let mut json = serde_json::to_value(&model).map_err(|e| crate::Error::Internal(e.to_string()))?;
    json["trouble"] = trouble.into();
    ui.print_json(&json)
}
