//! A network ready to run on one thread.

use ort::session::{Session, SessionInputValue, builder::GraphOptimizationLevel};
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;

use super::card::{Card, Kind};
use super::runtime::{self, one_line};
use super::{Model, NetOptions, evidence, features};
use crate::{Error, Result};

/// An input: name, shape and values.
pub struct Input<'a> {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// What comes out: displacement and perhaps the logarithm of its Laplace scale, in the order of the contract.
pub struct Output {
    pub displacement: Vec<f32>,
    pub log_scale: Option<Vec<f32>>,
}

/// Inputs of the kind `insar_gnss` and their channels.
const INSAR_INPUTS: [(&str, usize); 4] = [("insar", 10), ("dem", 1), ("gnss", 8), ("classical", 6)];

/// A network with one thread of its own.
pub struct Network {
    session: Session,
    name: String,
    takes_pair: bool,
    takes_start: bool,
    takes_features: bool,
    gives_scale: bool,
    /// Names of all inputs.
    inputs: Vec<String>,
}

impl Network {
    /// # Errors
    /// No ONNX Runtime, no such device, a graph that the library refuses, inputs or outputs that are not the contract's.
    pub fn new(model: &Model, options: &NetOptions) -> Result<Network> {
        let runtime = runtime::load(options.onnxruntime.as_deref())?;
        let provider = runtime::provider(&runtime, &options.device)?;
        let refuse = |why: String| Error::Open { path: model.path.clone(), why };
        let set_up = |e: &dyn std::fmt::Display| refuse(format!("ONNX Runtime: {}", one_line(&e.to_string())));
        // Parallel tiles are faster than threads inside one run, and leave no order of additions to chance.
        let builder = Session::builder(&runtime.environment).map_err(|e| set_up(&e))?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3).map_err(|e| set_up(&e))?;
        let builder = builder.with_intra_threads(1).map_err(|e| set_up(&e))?;
        let builder = builder.with_inter_threads(1).map_err(|e| set_up(&e))?;
        let builder = builder.with_intra_op_spinning(false).map_err(|e| set_up(&e))?;
        let builder = builder.with_inter_op_spinning(false).map_err(|e| set_up(&e))?;
        let builder = builder.with_deterministic_compute(true).map_err(|e| set_up(&e))?;
        // A plan of all buffers, made after the first run, would keep as much memory again.
        let builder = builder.with_memory_pattern(false).map_err(|e| set_up(&e))?;
        let mut builder = match provider {
            None => builder,
            Some(provider) => builder.with_execution_providers([provider]).map_err(|e| {
                let why = format!("ONNX Runtime cannot use it here: {}", one_line(&e.to_string()));
                Error::option("--device", &options.device, why)
            })?,
        };
        let session = builder.commit_from_memory(&model.bytes).map_err(|e| {
            refuse(format!("ONNX Runtime {} cannot use it: {}", runtime.version, one_line(&e.to_string())))
        })?;
        Network::checked(session, &model.card).map_err(refuse)
    }

    /// Compares inputs and outputs with the contract.
    fn checked(session: Session, card: &Card) -> std::result::Result<Network, String> {
        if card.kind == Kind::InsarGnss {
            return Network::checked_insar(session, card);
        }
        let inputs = session.inputs().iter().map(|i| i.name().to_string()).collect();
        let (takes_pair, takes_start, takes_features) = {
            let inputs: Vec<_> = session.inputs().iter().map(|i| (i.name(), i.dtype())).collect();
            let channels = Some(2 * card.bands as i64);
            let pair = named(&inputs, "pair");
            if pair.is_none() && card.front_end.is_none() {
                return Err("it has no input `pair`".into());
            }
            if let Some(pair) = pair
                && let (Some(Some(found)), Some(wanted)) = (tensor("pair", pair, 4)?.get(1).copied(), channels)
                && found != wanted
            {
                return Err(format!(
                    "its input `pair` has {found} channels; the card's {} band(s) make {wanted}",
                    card.bands
                ));
            }
            for (name, _) in &inputs {
                let known = match *name {
                    "pair" => true,
                    "start" => card.kind == Kind::Dense,
                    "features" | "evidence" => card.front_end.is_some(),
                    _ => false,
                };
                if !known {
                    return Err(format!("its input `{name}` is not known for this kind of model and card"));
                }
            }
            for (name, wanted) in [("features", features::CHANNELS), ("evidence", evidence::CHANNELS)] {
                named(&inputs, name).map_or(Ok(()), |input| has_channels(name, input, wanted))?;
            }
            if card.front_end.is_some() && named(&inputs, "features").is_none() {
                return Err("its card has a front_end, but there is no input `features`".into());
            }
            let has = |name| named(&inputs, name).is_some();
            (has("pair"), has("start"), has("features"))
        };
        let gives_scale = {
            let outputs: Vec<_> = session.outputs().iter().map(|o| (o.name(), o.dtype())).collect();
            let rank = if card.kind == Kind::Window { 2 } else { 4 };
            let displacement = named(&outputs, "displacement").ok_or("it has no output `displacement`")?;
            for (name, found) in [("displacement", Some(displacement)), ("log_scale", named(&outputs, "log_scale"))] {
                if let Some(found) = found
                    && let Some(Some(channels)) = tensor(name, found, rank)?.get(1)
                    && *channels != 2
                {
                    return Err(format!("its output `{name}` has {channels} channels instead of 2"));
                }
            }
            named(&outputs, "log_scale").is_some()
        };
        if gives_scale && card.sigma.is_some() {
            return Err("its card has shiftmap.sigma, which is for networks without the output `log_scale`".into());
        }
        Ok(Network { session, name: card.title(), takes_pair, takes_start, takes_features, gives_scale, inputs })
    }

    /// The kind `insar_gnss`: any of its inputs, displacement in three components.
    fn checked_insar(session: Session, card: &Card) -> std::result::Result<Network, String> {
        let inputs: Vec<String> = session.inputs().iter().map(|i| i.name().to_string()).collect();
        if inputs.is_empty() {
            return Err("it has no input".into());
        }
        for input in session.inputs() {
            let name = input.name();
            let Some((_, wanted)) = INSAR_INPUTS.iter().find(|(n, _)| *n == name) else {
                let known: Vec<&str> = INSAR_INPUTS.iter().map(|i| i.0).collect();
                return Err(format!("its input `{name}` is not known for the kind insar_gnss ({})", known.join(", ")));
            };
            has_channels(name, input.dtype(), *wanted)?;
        }
        let outputs: Vec<_> = session.outputs().iter().map(|o| (o.name(), o.dtype())).collect();
        let displacement = named(&outputs, "displacement").ok_or("it has no output `displacement`")?;
        let log_scale = named(&outputs, "log_scale");
        for (name, found) in [("displacement", Some(displacement)), ("log_scale", log_scale)] {
            if let Some(found) = found
                && let Some(Some(channels)) = tensor(name, found, 4)?.get(1)
                && *channels != 3
            {
                return Err(format!("its output `{name}` has {channels} channels instead of 3 (east, north, up)"));
            }
        }
        let gives_scale = log_scale.is_some();
        let no = false;
        let name = card.title();
        Ok(Network { session, name, takes_pair: no, takes_start: no, takes_features: no, gives_scale, inputs })
    }

    /// Whether it has an input of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.inputs.iter().any(|i| i == name)
    }

    /// Not needed by a network that takes features.
    pub fn takes_pair(&self) -> bool {
        self.takes_pair
    }

    pub fn takes_start(&self) -> bool {
        self.takes_start
    }

    pub fn takes_features(&self) -> bool {
        self.takes_features
    }

    pub fn gives_scale(&self) -> bool {
        self.gives_scale
    }

    /// Runs the network; `shape` is what both outputs must have.
    ///
    /// # Errors
    /// [`Error::Data`] when the library fails (also for want of memory) or the shape is another.
    pub fn run(&mut self, inputs: &[Input], shape: &[usize]) -> Result<Output> {
        let name = self.name.clone();
        let failed = |e: ort::Error| {
            Error::Data(format!(
                "the network {name} failed on a tile of {}: {}; where memory is short, a smaller --net-tile or fewer \
                 --threads help",
                inputs[0].shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x "),
                one_line(&e.to_string())
            ))
        };
        let mut values: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(inputs.len());
        for input in inputs {
            let tensor = TensorRef::from_array_view((input.shape.clone(), input.values)).map_err(failed)?;
            values.push((input.name.into(), tensor.into()));
        }
        let outputs = self.session.run(values).map_err(failed)?;
        let take = |output: &str| -> Result<Vec<f32>> {
            let value =
                outputs.get(output).ok_or_else(|| Error::Data(format!("the network {name} gave no {output}")))?;
            let (found, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
            if found.iter().map(|d| *d as usize).ne(shape.iter().copied()) {
                return Err(Error::Data(format!(
                    "the network {name} gave {output} of the shape {found:?} instead of {shape:?}; its card may be wrong \
                     (shiftmap.kind, shiftmap.multiple)"
                )));
            }
            Ok(data.to_vec())
        };
        Ok(Output {
            displacement: take("displacement")?,
            log_scale: self.gives_scale.then(|| take("log_scale")).transpose()?,
        })
    }
}

fn named<'a, T>(list: &[(&str, &'a T)], name: &str) -> Option<&'a T> {
    list.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
}

/// Refuses an input [N, C, H, W] of another number of channels.
fn has_channels(name: &str, input: &ValueType, wanted: usize) -> std::result::Result<(), String> {
    match tensor(name, input, 4)?[1] {
        Some(found) if found != wanted as i64 => {
            Err(format!("its input `{name}` has {found} channels instead of {wanted}"))
        }
        _ => Ok(()),
    }
}

/// The dimensions of a float32 tensor of `rank` axes; `None` for free ones.
fn tensor(name: &str, value: &ValueType, rank: usize) -> std::result::Result<Vec<Option<i64>>, String> {
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = value else {
        return Err(format!("`{name}` is not a float32 tensor"));
    };
    if shape.len() != rank {
        return Err(format!("`{name}` has {} axes instead of {rank}", shape.len()));
    }
    Ok(shape.iter().map(|d| (*d >= 0).then_some(*d)).collect())
}
