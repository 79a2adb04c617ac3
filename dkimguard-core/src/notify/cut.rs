//! [`cut`]: a text made to fit a receiver's limit.

/// Puts the pieces together, at most so many characters of them: where not all fit, `…` stands at the end. No piece is
/// cut in two.
pub(super) fn cut(pieces: impl IntoIterator<Item = String>, most: usize) -> String {
    let (mut text, mut length) = (String::new(), 0);
    // Where the text must end for the ellipsis to fit.
    let mut end = 0;
    for piece in pieces {
        length += piece.chars().count();
        if length > most {
            text.truncate(end);
            text.push('…');
            return text;
        }
        text.push_str(&piece);
        if length < most {
            end = text.len();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn text_is_cut_between_its_pieces_and_only_where_it_does_not_fit() {
        let of = |pieces: &[&str], most| cut(pieces.iter().map(|piece| (*piece).to_owned()), most);
        assert_eq!(of(&["ab", "cd"], 4), "abcd");
        assert_eq!(of(&["ab", "cd"], 3), "ab…");
        assert_eq!(of(&["ab", "cd"], 2), "…");
        assert_eq!(of(&["ä", "ö", "ü"], 2), "ä…");
    }
}
