//! The page that people read at three in the morning: `docs/runbooks/breach.md`. Its commands are run as they stand there,
//! by a shell, and none stands there that is not run.

use std::{cell::RefCell, collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};

/// Where the page is, from the repository's root.
pub(crate) const PAGE: &str = "docs/runbooks/breach.md";
/// What stands on the page for the reader's own node.
const NODE: &str = "https://NODE";

/// Its commands, in their order.
pub(crate) struct Page {
    commands: Vec<String>,
    run: RefCell<BTreeSet<usize>>,
}

impl Page {
    pub(crate) fn read(repository: &Path) -> Result<Self> {
        let path = repository.join(PAGE);
        Ok(Self::of(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?))
    }

    fn of(text: &str) -> Self {
        let (mut commands, mut block): (Vec<String>, Option<Vec<&str>>) = (Vec::new(), None);
        for line in text.lines().map(str::trim) {
            block = match (block, line.starts_with("```")) {
                (None, true) => Some(Vec::new()),
                (None, false) => None,
                (Some(lines), true) => {
                    commands.extend(joined(&lines));
                    None
                }
                (Some(mut lines), false) => {
                    lines.push(line);
                    Some(lines)
                }
            };
        }
        Self { commands, run: RefCell::default() }
    }

    /// The one command that begins so, with the reader's node in its place.
    pub(crate) fn command(&self, beginning: &str, node: &str) -> Result<String> {
        let mut fit = self.commands.iter().enumerate().filter(|(_, command)| command.starts_with(beginning));
        let (place, command) =
            fit.next().with_context(|| format!("{PAGE} has no command that begins '{beginning}'"))?;
        ensure!(fit.next().is_none(), "{PAGE} has two commands that begin '{beginning}'");
        self.run.borrow_mut().insert(place);
        Ok(command.replace(NODE, node))
    }

    /// Refuses a page with a command that was not asked for.
    pub(crate) fn is_all_run(&self) -> Result<()> {
        let run = self.run.borrow();
        let other = (0..self.commands.len()).find(|place| !run.contains(place));
        match other {
            Some(place) => anyhow::bail!("{PAGE} has a command that nobody tries: {}", self.commands[place]),
            None => Ok(()),
        }
    }
}

/// One command a line; a backslash goes on in the next.
fn joined(lines: &[&str]) -> Vec<String> {
    let text = lines.join("\n").replace("\\\n", "");
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|it| !it.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_command_by_command() {
        let page = Page::of(
            "1. Plan.\n\n   ```\n   multisig evac plan --rpc https://NODE \\\n     --out x\n   ```\n\n```\na\nb\n```\n",
        );
        assert_eq!(
            page.command("multisig evac plan", "http://n").unwrap(),
            "multisig evac plan --rpc http://n --out x"
        );
        assert_eq!(page.command("a", "").unwrap(), "a");
        let why = page.is_all_run().unwrap_err().to_string();
        assert!(why.ends_with("nobody tries: b"), "{why}");
        assert!(page.command("c", "").unwrap_err().to_string().contains("no command that begins 'c'"));
        page.command("b", "").unwrap();
        page.is_all_run().unwrap();
    }
}
