//! Owns the cleaning of texts and the counting of words. Pure; knows no file and no label.

use std::borrow::Cow;
use std::sync::LazyLock;

use rayon::prelude::*;
use regex::Regex;

use crate::tasks::Cleaning;

/// Scripts and styles with their content, comments, tags. A `<` that begins none of these is text.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?is)<script\b.*?</script\s*>|<style\b.*?</style\s*>|<!--.*?-->|<[/!?]?[a-z][^<>]*>")
        .expect("the pattern is sound")
});

/// Everything but letters, digits and white space. Marks belong to their letters: most scripts of India write
/// vowels with them.
static SYMBOLS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[^\p{L}\p{M}\p{N}\s]+").expect("the pattern is sound"));

/// Cleans texts in place. Without anything to strip they stay unchanged.
pub(crate) fn strip(texts: &mut [String], cleaning: &Cleaning) {
    if cleaning.strip_html || cleaning.strip_symbols {
        texts.par_iter_mut().for_each(|text| *text = stripped(text, cleaning));
    }
}

/// Number of words, separated by white space.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The text without the stripped parts, with words separated by one space.
///
/// Markup and symbols leave a space, so that the words on either side stay separate. Entities are read after
/// the tags, since `&lt;b&gt;` is a text that shows `<b>`.
fn stripped(text: &str, cleaning: &Cleaning) -> String {
    let mut text = Cow::Borrowed(text);
    if cleaning.strip_html {
        let bare = MARKUP.replace_all(&text, " ");
        text = Cow::Owned(html_escape::decode_html_entities(&bare).into_owned());
    }
    if cleaning.strip_symbols {
        text = Cow::Owned(SYMBOLS.replace_all(&text, " ").into_owned());
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str, strip_html: bool, strip_symbols: bool) -> String {
        let mut texts = [text.to_owned()];
        strip(&mut texts, &Cleaning { strip_html, strip_symbols, ..Cleaning::default() });
        let [text] = texts;
        text
    }

    #[test]
    fn markup_goes_and_its_text_stays() {
        for (text, bare) in [
            ("one<br />two", "one two"),
            ("<p class=\"a\">AT&amp;T &#8211; &quot;x&quot;&nbsp;y</p>", "AT&T – \"x\" y"),
            ("a < b and c > d, <3", "a < b and c > d, <3"),
            ("&lt;b&gt; <!-- <b>gone</b> --> stays", "<b> stays"),
            ("x<script>if (a < b) {}</script>y<STYLE>p {}</STYLE>", "x y"),
            ("&unknown; & plain &#xZZ;", "&unknown; & plain &#xZZ;"),
            ("<p unclosed", "<p unclosed"),
        ] {
            assert_eq!(cleaned(text, true, false), bare);
        }
    }

    #[test]
    fn letters_and_digits_of_every_script_stay() {
        for (text, bare) in [
            ("XX/XX/2019: $5.00 (five)!", "XX XX 2019 5 00 five"),
            ("naïve — ¿qué?", "naïve qué"),
            ("東京、2024年。", "東京 2024年"),
            ("हिन्दी, संस्कृतम्!", "हिन्दी संस्कृतम्"),
            ("e\u{301}te\u{301} \u{1f600} ٣", "e\u{301}te\u{301} ٣"),
            ("!?\u{1f600}", ""),
        ] {
            assert_eq!(cleaned(text, false, true), bare);
        }
    }

    #[test]
    fn without_a_wish_nothing_changes() {
        assert_eq!(cleaned("  <b>\t&amp;  ", false, false), "  <b>\t&amp;  ");
        assert_eq!(words("  two\u{a0}three \n"), 2);
    }

    proptest! {
        #[test]
        fn what_is_left_has_no_symbols_and_single_spaces(text in ".{0,60}", html: bool) {
            let left = cleaned(&text, html, true);
            prop_assert_eq!(&cleaned(&left, false, true), &left);
            prop_assert!(!left.contains("  ") && left.trim() == left);
            prop_assert!(!SYMBOLS.is_match(&left));
        }
    }
}
