//! Owns training passes that keep of each layer its input alone, and compute the layer again on the way back (Chen et
//! al. 2016, section 4). What it computes twice is the same both times, to the last bit: the operations are, and what
//! dropout drops depends on its place alone. Owns no weights, and knows no loss.

use tch::{Kind, Tensor};

use super::pass::Pass;
use super::transformer::{Model, Trunk};

/// A pass through the layers behind a trunk, and what is kept of it.
#[derive(Debug)]
pub struct Passed<'a> {
    model: &'a Model,
    trunk: &'a Trunk<'a>,
    /// The inputs of the layers, from the first one on, each with the number of dropout layers before it.
    inputs: Vec<(Tensor, u64)>,
    top: Trunk<'a>,
}

impl Model {
    /// Passes through the layers behind a trunk. The rest of the model begins at [`Passed::top`].
    pub fn pass_layers<'a>(&'a self, trunk: &'a Trunk<'a>, pass: &mut Pass) -> Passed<'a> {
        pass.go_on_at(trunk.site);
        let mut inputs = Vec::new();
        let mut x = leaf(&trunk.x);
        for layer in trunk.next..self.layers.len() {
            let site = pass.site();
            // With a gradient, so that libtorch takes the same kernels as the second time; what the layer keeps for it
            // is let go at once.
            let output = leaf(&self.layer(layer, &x, trunk, pass));
            inputs.push((std::mem::replace(&mut x, output), site));
        }
        let (turns, next, site) = (Vec::new(), self.layers.len(), pass.site());
        let top = Trunk { inputs: trunk.inputs, turns, x, next, known: None, site };
        Passed { model: self, trunk, inputs, top }
    }
}

impl<'a> Passed<'a> {
    /// Where the rest of the model begins.
    #[must_use]
    pub fn top(&self) -> &Trunk<'a> {
        &self.top
    }

    /// Goes on with a backward pass that has come down to [`Passed::top`]: through the layers, from the last to the
    /// first, and through what is below them, as far as something there needs a gradient. A layer's input is let go
    /// with the layer.
    pub fn backward(self, pass: &mut Pass) {
        let Self { model, trunk, inputs, top } = self;
        let mut gradient = taken(top.x);
        for (layer, (input, site)) in (trunk.next..model.layers.len()).zip(inputs).rev() {
            let Some(of_output) = gradient else { return };
            pass.go_on_at(site);
            push(model.layer(layer, &input, trunk, pass), of_output);
            gradient = taken(input);
        }
        if let Some(gradient) = gradient {
            push(trunk.x.shallow_clone(), gradient);
        }
    }
}

/// The same values, as a leaf that collects its gradient where one flows through `x`.
fn leaf(x: &Tensor) -> Tensor {
    x.detach().set_requires_grad(x.requires_grad())
}

/// The gradient of a leaf that is done with, where it collects one.
fn taken(leaf: Tensor) -> Option<Tensor> {
    leaf.requires_grad().then(|| leaf.grad())
}

/// The backward pass of what `output` was computed by, where its gradient is this. The gradient of the product is the
/// gradient itself, in every format.
fn push(output: Tensor, gradient: Tensor) {
    let sum = (output * gradient).sum(Kind::Float);
    sum.backward();
}
