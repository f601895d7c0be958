use crate::{World, output};

/// Tells a person at a terminal what is going on; in a pipe it is silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress(bool);

impl Progress {
    pub(crate) fn new(world: &World) -> Self {
        Self(world.on_terminal)
    }

    pub(crate) fn say(self, step: &str) {
        if self.0 {
            output::say(step);
        }
    }
}
