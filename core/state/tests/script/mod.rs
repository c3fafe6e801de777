//! The script language.
//!
//! ```text
//! # A comment, kept as it is.
//! create /a "some data"
//! delete /b version=3
//! ---
//! @1 created /a
//!    Created /a
//!    ChildrenChanged /
//! @2 refused: no such znode
//! ```
//!
//! A block is: lines of input, `---`, lines of output, an empty line. A line
//! of input is a verb, arguments and `key=value` options; quotes keep spaces
//! and `=`, and know `\n`, `\\`, `\"` and `\u{…}`. A free `;` begins another
//! line that belongs to the first ([`Line::parts`]). Every area has a module with
//! its own verbs: a function from a verb's name to what it does.
//!
//! After every command the invariants are checked, and the state must survive
//! its own snapshot.

mod consul;
mod line;
mod world;
mod znode;

pub(crate) use line::Line;
pub(crate) use world::World;

/// What a verb does: read the line, change or ask the world, [`World::say`] the answer.
pub(crate) type Verb = fn(&mut World, &mut Line) -> Result<(), String>;

/// Every area's verbs, tried in this order.
const AREAS: [fn(&str) -> Option<Verb>; 3] = [world::verb, znode::verb, consul::verb];

/// Plays a script on a fresh world and returns it with the answers given.
pub(crate) fn play(script: &str) -> Result<String, String> {
    let mut world = World::new();
    let mut played = String::new();
    let mut lines = script.lines().enumerate().peekable();
    while let Some((number, text)) = lines.next() {
        played.push_str(text);
        played.push('\n');
        if text == "---" {
            while lines.next_if(|(_, answer)| !answer.is_empty()).is_some() {}
            played.push_str(&world.take_answer());
        } else if !text.is_empty() && !text.starts_with('#') {
            perform(&mut world, text)
                .map_err(|trouble| format!("line {}: {trouble}", number + 1))?;
        }
    }
    if !world.take_answer().is_empty() {
        return Err("the last block has no `---`".into());
    }
    Ok(played)
}

fn perform(world: &mut World, text: &str) -> Result<(), String> {
    perform_line(world, Line::parse(text)?)
}

fn perform_line(world: &mut World, mut line: Line) -> Result<(), String> {
    let verb = AREAS
        .iter()
        .find_map(|area| area(line.verb()))
        .ok_or_else(|| format!("no verb `{}`", line.verb()))?;
    verb(world, &mut line)?;
    line.finish()
}

/// The first lines in which two texts differ.
pub(crate) fn difference(written: &str, played: &str) -> String {
    let number = written.lines().zip(played.lines()).take_while(|(a, b)| a == b).count();
    let excerpt = |text: &str| {
        text.lines().skip(number).take(4).map(|line| format!("      {line}\n")).collect::<String>()
    };
    format!(
        "  line {}\n    written:\n{}    played:\n{}",
        number + 1,
        excerpt(written),
        excerpt(played)
    )
}
