//! The pickle machine, as far as a state dict needs it.
//!
//! A pickle is a program for a machine with a stack and a memo. Here its values are plain data in
//! an arena, each known by its number: a dictionary, a tuple, a storage, a tensor. Of the names
//! that a pickle can import, those in the module `names` are known by what they *mean*;
//! nothing is ever called, and any other name is an error that gives it. Each opcode makes at most
//! one value, so that time and memory are bounded by the length of the pickle.
//!
//! Opcodes: `Lib/pickle.py` and `Lib/pickletools.py` of CPython, protocols 2 to 5.

mod names;
mod value;

use std::collections::HashMap;
use std::path::Path;

use crate::error::{CheckpointError, Result};
use names::Name;
use value::{Id, Value};

pub(crate) use value::{Entry, View};

const STOP: u8 = b'.';

/// Runs a pickle and returns the tensors of the dictionary that it makes, in order.
pub(crate) fn run<'a>(path: &Path, program: &'a [u8]) -> Result<Vec<Entry<'a>>> {
    let mut machine = Machine {
        path,
        program,
        at: 0,
        opcode_at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run()?;
    machine.entries(root)
}

struct Machine<'a, 'p> {
    path: &'p Path,
    program: &'a [u8],
    /// The next byte of the program, and the opcode being run.
    at: usize,
    opcode_at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// The heights of the stack at which there are marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a, '_> {
    fn run(&mut self) -> Result<Id> {
        loop {
            self.opcode_at = self.at;
            match self.byte()? {
                STOP => return self.pop(),
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO and FRAME tell nothing that matters here.
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // Constants.
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Float);
            }
            // Text and bytes, by the width of their length.
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.blob(1)?,
            b'B' => self.blob(4)?,
            0x8e => self.blob(8)?,
            // Containers.
            b')' => self.push(Value::Tuple(Box::new([]))),
            0x85..=0x87 => {
                let height = self.height_below(usize::from(opcode - 0x84))?;
                let items = self.stack.split_off(height);
                self.push(Value::Tuple(items.into()));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items.into()));
            }
            b']' => self.push(Value::List),
            b'a' => drop(self.pop()?),
            b'e' => drop(self.pop_to_mark()?),
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            // The memo.
            b'q' => {
                let slot = self.byte()?;
                self.memoize(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.memoize(slot)?;
            }
            0x94 => {
                let slot = self.memo.len() as u32;
                self.memoize(slot)?;
            }
            b'h' => {
                let slot = self.byte()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            // Names, and what is made with them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.import(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.as_text(module), self.as_text(name)) else {
                    return Err(self.broken("a name is not text"));
                };
                self.import(module, name)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            // What makes objects of classes by other ways.
            0x81 | 0x92 | b'i' | b'o' | 0x82..=0x84 => return Err(self.asks_for_an_object(opcode)),
            _ => return Err(self.broken("it has an opcode that no state dict needs")),
        }
        Ok(())
    }

    // Reading the program.

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len);
        match end.and_then(|end| self.program.get(self.at..end)) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => Err(self.broken("it ends in the middle")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// What follows a length of `width` bytes.
    fn counted(&mut self, width: usize) -> Result<&'a [u8]> {
        let mut len = [0; 8];
        len[..width].copy_from_slice(self.take(width)?);
        // A length beyond the address space is beyond the program as well.
        let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
        self.take(len)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.program[self.at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return Err(self.broken("it ends in the middle"));
        };
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| self.broken("a text is not UTF-8"))
    }

    fn text(&mut self, width: usize) -> Result<()> {
        let bytes = self.counted(width)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.broken("a text is not UTF-8"))?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn blob(&mut self, width: usize) -> Result<()> {
        self.counted(width)?;
        self.push(Value::Blob);
        Ok(())
    }

    /// An integer of up to 8 bytes in two's complement, as Python writes great ones.
    fn long(&mut self) -> Result<()> {
        let digits = self.counted(1)?;
        let negative = digits.last().is_some_and(|&b| b >= 0x80);
        let mut bytes = [if negative { 0xFF } else { 0 }; 8];
        let Some(low) = bytes.get_mut(..digits.len()) else {
            return Err(self.broken("a number has more than 64 bits"));
        };
        low.copy_from_slice(digits);
        self.push(Value::Int(i64::from_le_bytes(bytes)));
        Ok(())
    }

    // The stack and the memo.

    fn push(&mut self, value: Value<'a>) {
        // Fits: there are fewer values than bytes of the program, whose length is bounded.
        let id = self.values.len() as Id;
        self.values.push(value);
        self.stack.push(id);
    }

    /// The height of the stack with `count` values taken off, none of them below a mark.
    fn height_below(&self, count: usize) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= floor => Ok(height),
            _ => Err(self.broken("it takes more from its stack than there is")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id> {
        Ok(self.stack[self.height_below(1)?])
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(self.broken("it takes more from its stack than there is")),
        }
    }

    fn memoize(&mut self, slot: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        match self.memo.get(&slot) {
            Some(&id) => self.stack.push(id),
            None => return Err(self.broken("it recalls what it never kept")),
        }
        Ok(())
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let target = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.broken("a key has no value"));
        }
        let Value::Dict(entries) = &mut self.values[target as usize] else {
            return Err(self.broken("it sets an item of what is no dictionary"));
        };
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    // Names.

    fn import(&mut self, module: &'a str, name: &'a str) -> Result<()> {
        match Name::of(module, name) {
            Some(name) => self.push(Value::Name(name)),
            None => {
                return Err(CheckpointError::AsksForCode {
                    path: self.path.to_path_buf(),
                    name: format!("{module}.{name}"),
                });
            }
        }
        Ok(())
    }

    fn asks_for_an_object(&self, opcode: u8) -> CheckpointError {
        let name = match opcode {
            0x81 => "NEWOBJ",
            0x92 => "NEWOBJ_EX",
            b'i' => "INST",
            b'o' => "OBJ",
            _ => "EXT",
        };
        CheckpointError::AsksForCode {
            path: self.path.to_path_buf(),
            name: format!("opcode {name}"),
        }
    }

    /// `("storage", type, key, location, number of elements)` stands for a storage.
    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = self.as_storage(id);
        let storage = storage.ok_or_else(|| self.broken("a persistent id is no storage"))?;
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = self.value(arguments) else {
            return Err(self.broken("a call has no tuple of arguments"));
        };
        let made = match (self.value(callee), &arguments[..]) {
            (Value::Name(Name::OrderedDict), []) => Some(Value::Dict(Vec::new())),
            (Value::Name(Name::RebuildTensor(version)), arguments) => {
                self.as_tensor(*version, arguments).map(Value::Tensor)
            }
            (Value::Name(Name::RebuildParameter), [tensor, ..]) => match self.value(*tensor) {
                Value::Tensor(tensor) => Some(Value::Tensor(*tensor)),
                _ => None,
            },
            _ => None,
        };
        let made = made.ok_or_else(|| self.broken("a call has arguments of other kinds"))?;
        self.push(made);
        Ok(())
    }

    /// Sets attributes: a module's state dict has `_metadata`, which says nothing of the tensors.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let target = self.top()?;
        match self.value(target) {
            Value::Dict(_) => Ok(()),
            _ => Err(self.broken("it sets attributes of what is no dictionary")),
        }
    }

    fn broken(&self, reason: &'static str) -> CheckpointError {
        CheckpointError::BrokenPickle {
            path: self.path.to_path_buf(),
            at: self.opcode_at,
            reason,
        }
    }
}
