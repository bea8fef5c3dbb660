//! The grammar of server data: atoms, strings, lists.

/// One value in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A bare word: number, flag, `NIL`, item name with its section.
    Atom(Vec<u8>),
    /// A quoted string or a literal, decoded.
    Text(Vec<u8>),
    /// A parenthesised list.
    List(Vec<Value>),
}

impl Value {
    /// Reads all values of `input`; `None` when it breaks the grammar.
    pub fn parse_all(input: &[u8]) -> Option<Vec<Value>> {
        let (values, rest) = sequence(input)?;
        rest.is_empty().then_some(values)
    }

    /// The bytes of an atom or text.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(bytes) | Value::Text(bytes) => Some(bytes),
            Value::List(_) => None,
        }
    }

    /// An atom or text as UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A number.
    pub fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// The members of a list.
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }
}

/// Values up to the end or a closing parenthesis, which stays in the rest.
fn sequence(mut input: &[u8]) -> Option<(Vec<Value>, &[u8])> {
    let mut values = Vec::new();
    loop {
        input = input.strip_prefix(b" ").unwrap_or(input);
        if input.is_empty() || input[0] == b')' {
            return Some((values, input));
        }
        let (value, rest) = one(input)?;
        values.push(value);
        input = rest;
    }
}

fn one(input: &[u8]) -> Option<(Value, &[u8])> {
    match input[0] {
        b'(' => {
            let (values, rest) = sequence(&input[1..])?;
            Some((Value::List(values), rest.strip_prefix(b")")?))
        }
        b'"' => quoted(&input[1..]),
        b'{' => literal(&input[1..]),
        b'~' if input.get(1) == Some(&b'{') => literal(&input[2..]),
        _ => atom(input),
    }
}

fn quoted(input: &[u8]) -> Option<(Value, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match *input.get(at)? {
            b'"' => return Some((Value::Text(text), &input[at + 1..])),
            b'\\' => at += 1,
            _ => {}
        }
        text.push(*input.get(at)?);
        at += 1;
    }
}

fn literal(input: &[u8]) -> Option<(Value, &[u8])> {
    let close = input.iter().position(|&b| b == b'}')?;
    let bytes: usize = std::str::from_utf8(&input[..close]).ok()?.parse().ok()?;
    let body = input[close + 1..].strip_prefix(b"\r\n")?;
    Some((Value::Text(body.get(..bytes)?.to_vec()), &body[bytes..]))
}

/// An atom may carry a section in brackets, and in there spaces and parentheses: `BODY[HEADER.FIELDS (TO)]<0>`.
fn atom(input: &[u8]) -> Option<(Value, &[u8])> {
    let mut in_brackets = false;
    let ends = |&b: &u8| {
        in_brackets = (in_brackets || b == b'[') && b != b']';
        !in_brackets && matches!(b, b' ' | b'(' | b')')
    };
    let end = input.iter().position(ends).unwrap_or(input.len());
    (end > 0).then(|| (Value::Atom(input[..end].to_vec()), &input[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Value {
        Value::Atom(text.into())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn reads_the_grammar() {
        let check = |input: &str, expect: Option<Vec<Value>>| {
            assert_eq!(Value::parse_all(input.as_bytes()), expect, "{input:?}")
        };
        check("", Some(vec![]));
        check("12 NIL", Some(vec![atom("12"), atom("NIL")]));
        check(
            r#"("a\"b" (\Seen x))"#,
            Some(vec![Value::List(vec![text("a\"b"), Value::List(vec![atom("\\Seen"), atom("x")])])]),
        );
        check("BODY[] {5}\r\na)\r\n( UID 7", Some(vec![atom("BODY[]"), text("a)\r\n("), atom("UID"), atom("7")]));
        check("BODY[HEADER.FIELDS (TO)]<0> NIL", Some(vec![atom("BODY[HEADER.FIELDS (TO)]<0>"), atom("NIL")]));
        check("(a", None);
        check("a)", None);
        check("{9}\r\nabc", None);
    }
}
