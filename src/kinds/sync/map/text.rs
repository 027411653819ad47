//! What `apply` does with a text before it is read.
//!
//! Owns the functions: each takes any text and gives one. Refuses to know columns.

use super::super::columns::Function;

/// Does all of them, in order. The text ends up in `done`; `room` is for what lies between.
pub(super) fn apply<'r>(
    functions: &[Function],
    text: &str,
    done: &'r mut String,
    room: &mut String,
) -> &'r str {
    done.clear();
    done.push_str(text);
    for function in functions {
        std::mem::swap(done, room);
        done.clear();
        one(*function, room, done);
    }
    done
}

fn one(function: Function, text: &str, to: &mut String) {
    let without = |gone: fn(char) -> bool, to: &mut String| {
        to.extend(text.chars().filter(|c| !gone(*c)));
    };
    match function {
        Function::Trim => to.push_str(text.trim()),
        Function::Squeeze => {
            let mut after_space = false;
            for c in text.chars() {
                match c.is_whitespace() {
                    true if after_space => {}
                    true => to.push(' '),
                    false => to.push(c),
                }
                after_space = c.is_whitespace();
            }
        }
        Function::Lower => to.extend(text.chars().flat_map(char::to_lowercase)),
        Function::Upper => to.extend(text.chars().flat_map(char::to_uppercase)),
        Function::Digits => without(|c| !c.is_ascii_digit(), to),
        Function::Ungroup => without(|c| c == ',', to),
        Function::DecimalComma => to.extend(text.chars().filter_map(|c| match c {
            ',' => Some('.'),
            '.' | '\'' | '\u{2019}' => None,
            c if c.is_whitespace() => None,
            c => Some(c),
        })),
    }
}
