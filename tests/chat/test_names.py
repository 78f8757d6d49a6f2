"""The rules for names: how they are normalised, which are refused and why, and which clash."""

import unicodedata

import precis_i18n
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webchat.chat.errors import BadName
from webchat.chat.names import key, parse, parse_room

few_examples = settings(max_examples=150, deadline=None)

AWKWARD = "*＊∗⁎﹡٭✱✶ \u3000\u00a0aàА１Ⅰﬀßeе{：꞉＜|#/@［-!\u0301\u0308\u200d\ufe0f\u202e\u2028\n\t\x07\ud800\u2800"
raw_names = st.text(st.one_of(st.sampled_from(AWKWARD), st.characters()), max_size=40)


def refusal(raw: str) -> str:
    with pytest.raises(BadName) as refused:
        parse(raw)
    return str(refused.value)


class TestNormalisation:
    @pytest.mark.parametrize(("raw", "shown"), [
        ("Alex", "Alex"), ("  ada   baker ", "ada baker"), ("\u3000Ａｌｅｘ\u00a0", "Alex"), ("Ⅳ", "IV"),
        ("e\u0301", "é"), ("Ελένη", "Ελένη"), ("Привет", "Привет"), ("日本", "日本"), ("🙂", "🙂"), ("l·l", "l·l"),
        ("O'Brien", "O'Brien"), ("[x]", "[x]"), ("दुःख", "दुःख"), ("ノア", "ノア"),
    ])
    def test_names_are_normalised_by_the_nickname_profile_with_case_preserved(self, raw, shown):
        assert parse(raw).text == shown

    @pytest.mark.parametrize("star", "*＊∗⁎﹡٭⁑✱✲✳✶⋆✻❋⧆⁂\U0001f7b6\U0001031f\u20f0")
    def test_asterisks_of_every_kind_are_removed(self, star):
        assert parse(f"{star} Al{star}ex {star}{star}").text == "Alex"

    def test_every_character_with_asterisk_in_its_unicode_name_is_removed_or_refused(self):
        for code in range(0x110000):
            if "ASTERISK" in unicodedata.name(chr(code), ""):
                try:
                    assert parse(f"Alex{chr(code)}").text == "Alex"
                except BadName:
                    assert unicodedata.category(chr(code)) == "Cf"

    def test_characters_that_an_asterisk_kept_apart_are_normalised_together(self):
        assert parse("e*\u0301").text == "é"
        assert parse("ada * baker").text == "ada baker"


class TestRefusals:
    @pytest.mark.parametrize("raw", ["", " ", "*", " ＊ * "])
    def test_a_name_of_nothing_but_spaces_and_asterisks_is_refused(self, raw):
        assert refusal(raw) == "A name needs something other than spaces and asterisks."

    @pytest.mark.parametrize(("raw", "length"), [("x" * 33, "33"), ("ﷺ" * 2, "36"), ("x" * 70_000, "70,000")])
    def test_a_name_over_32_characters_after_normalisation_is_refused(self, raw, length):
        assert refusal(raw) == f"A name has at most 32 characters, and this one has {length}."

    def test_a_name_of_32_characters_is_accepted(self):
        assert parse("  " + "🙂" * 32 + "**").text == "🙂" * 32

    @pytest.mark.parametrize("char", "\0\x07\t\x1b\x7f\x80\x9b\xad\u200b\u200d\u200e\u061c\u202e\u2066\ufeff"
                                     "\ufe0f\ufe0e\u115f\u034f\u180e\ue000\ud800\u0378\U000e0041\u2800\ufffd\n\r\u0085\u2028\u2029")
    def test_invisible_characters_are_refused_by_code_point(self, char):
        assert f"U+{ord(char):04X}" in refusal(f"a{char}b")

    @pytest.mark.parametrize("char", "\n\r\v\f\x1c\x85\u2028\u2029")
    def test_line_breaks_are_refused_as_line_breaks_even_at_the_end(self, char):
        assert refusal(f"ada{char}").endswith("a line break.")

    @pytest.mark.parametrize("char", "{}|:<>｛｝｜：＜＞﹛︓꞉∶❴❵∣‹›❮❘❙⏐¦│┃┼〈〉⟨⟩")
    def test_protocol_delimiters_and_their_lookalikes_are_refused(self, char):
        assert "A name cannot contain" in refusal(f"a{char}b")

    @pytest.mark.parametrize("raw", ["#a", "/a", "＃a", "／a", "⁄a", "*#a", " /a", "﹟a", "#", "٭／",
                                     "+a", "~a", "&a", "%a", "$a", "＋a", "﹪a", "＄a"])
    def test_a_name_that_begins_like_a_command_is_refused(self, raw):
        assert "begin with" in refusal(raw)

    @pytest.mark.parametrize("raw", ["a#b", "a/b", "a+b", "a&b", "a~b", "a$b", "a%b"])
    def test_the_same_characters_are_accepted_after_the_beginning(self, raw):
        assert parse(raw).text == raw

    @pytest.mark.parametrize("raw", ["-!- Sue", "‐!‐ x", "‐ǃ‐ x", "[private] Alex", "[PRIVATE] A", "[#r] A", "［＃x"])
    def test_a_name_that_begins_like_a_line_of_the_server_is_refused(self, raw):
        assert "begin with" in refusal(raw)

    @pytest.mark.parametrize("raw", ["ALL", "all", "Clients", "REGISTER", "quit", "msg", "Server", "EVERYONE", "ＡＬＬ",
                                     "A11", "*server*", " msg ", "ｅveryone", "Webchat",
                                     "ᴡebchat"])
    def test_reserved_words_are_refused_in_any_case_width_and_lookalike_spelling(self, raw):
        assert "is reserved" in refusal(raw)

    @pytest.mark.parametrize("raw", ["\u0301a", "x" + 5 * "\u0320", "a" + 5 * "\u20dd", "\u20dda", "*\u0308a",
                                     "Alex ¨", "Alex \u0307", "Alex-\u033d"])
    def test_accents_without_a_letter_and_more_than_four_on_one_are_refused(self, raw):
        assert "an accent" in refusal(raw)

    @pytest.mark.parametrize("mark", "\u0320\u20dd")
    def test_four_accents_on_each_letter_are_accepted(self, mark):
        assert parse(2 * ("x" + 4 * mark)).text == 2 * ("x" + 4 * mark)

    @pytest.mark.parametrize(("raw", "reason"), [
        ("a\u00b7b", "which is not allowed at this place."), ("a\u034fb", "which is invisible."),
        ("a\u200bb", "which is invisible."), ("a\x07b", "a control character."), ("a\u2800b", "which shows nothing."),
        ("a\ue000b", "a private-use character."), ("a\u0378b", "an unassigned character."),
        ("a\u2503b", "which looks like a part of the protocol."),
    ])
    def test_the_reason_says_what_is_wrong_with_the_character(self, raw, reason):
        assert refusal(raw).endswith(reason)

    def test_a_text_over_256_characters_is_refused_even_if_little_of_it_remains_after_normalisation(self):
        assert parse("x" + 255 * " ").text == parse_room("x" + 255 * " ") == "x"
        for normalise in (parse, parse_room):
            with pytest.raises(BadName, match="at most"):
                normalise("x" + 256 * " ")

    def test_the_reason_contains_only_printable_ascii(self):
        for raw in ("a\x1b[2Jb", "a\u202eb", "a：b", "\u0301", "a\ud800"):
            assert refusal(raw).isascii() and refusal(raw).isprintable()


class TestBadges:
    """Nothing that a guest puts into a name looks like the asterisk of an account."""

    @pytest.mark.parametrize("end", "⁕⚹ᚼⵣ❄❇★☆※†°+=^~'\"/#%&;·•")
    def test_a_name_does_not_end_with_a_symbol_or_a_mark_that_could_be_a_badge(self, end):
        assert refusal(f"Alex{end}")

    @pytest.mark.parametrize("end", ["é", "٣", "x\u0301", "🙂", "⭐", "🇩🇪", "👍🏽", "_", "-", ".", ")", "]", "7"])
    def test_a_name_ends_with_a_letter_a_mark_a_digit_an_emoji_or_one_of_five_marks(self, end):
        text = "Ali" if end != "٣" else "علي"
        assert parse(text + end).text == unicodedata.normalize("NFKC", text + end)

    def test_no_character_behind_an_accounts_name_makes_it_look_like_a_badge(self):
        symbols = set()
        for char in filter(lambda char: unicodedata.category(char)[0] in "PS", map(chr, range(0x80, 0x20000))):
            try:
                last = parse(f"Alex{char}").text.removeprefix("Alex")[-1:]
            except BadName:
                continue
            if unicodedata.category(last or "x")[0] == "S":
                symbols.add(last)
            else:
                assert last == "" or last.isalnum() or last in "_-.)]"
        assert {"🙂", "⭐"} <= symbols and not symbols & set("❄❇✳✴☀♥★✱⚝⚹")

    def test_the_reason_says_with_what_a_name_may_end(self):
        assert refusal("Alex+") == (
            "A name cannot end with U+002B PLUS SIGN; it ends with a letter, a digit, an emoji or one of _-.)]")

    @pytest.mark.parametrize("raw", ["a★b", "1€", "x°y", "⠿a", "♥ Sue", "❤Sue", "©a"])
    def test_symbols_other_than_emoji_are_refused(self, raw):
        assert "a symbol that is no emoji" in refusal(raw)

    @pytest.mark.parametrize("raw, text", [("Sue ⭐\ufe0f", "Sue ⭐"), ("⚡\ufe0f Sue", "⚡ Sue")])
    def test_an_emoji_is_the_same_with_the_selector_that_telephones_add(self, raw, text):
        assert parse(raw) == parse(text)
        assert key(raw) == key(text)

    @pytest.mark.parametrize("raw", ["Sue\ufe0f", "❤\ufe0f", "*\ufe0f\u20e3", "⭐\ufe0e"])
    def test_a_selector_after_anything_else_is_refused(self, raw):
        assert "which is invisible" in refusal(raw)

    @pytest.mark.parametrize("raw", ["⭐ Sue", "a🙂b", "a+b", "^_^ x", "a=b", "🎉"])
    def test_emoji_and_the_symbols_of_ascii_are_accepted_inside_a_name(self, raw):
        assert parse(raw).text == raw

    @pytest.mark.parametrize("raw", ["7ⵣ", "ⵣ", "🙂ⵣ", "1 ⵣⵣ"])
    def test_a_letter_that_looks_like_an_asterisk_needs_other_letters(self, raw):
        assert "cannot end with U+2D63" in refusal(raw)

    def test_a_letter_that_looks_like_an_asterisk_is_accepted_in_a_word_of_its_script(self):
        assert parse("ⴰⵣ").text == "ⴰⵣ"


class TestScripts:
    @pytest.mark.parametrize("raw", ["Аlex", "Αlex", "Alexа", "Suе", "Alexⵣ", "ѕеrvеr", "日本ノㄅ", "한国ノ",
                                     "a٣", "ᚼᛅ", "𓀀"])
    def test_a_name_that_mixes_scripts_or_is_in_an_ancient_one_is_refused(self, raw):
        assert "scripts" in refusal(raw)

    @pytest.mark.parametrize("raw", ["Вася 7", "Ελένη", "日本ノア", "ノア Alex", "한국 Sue", "台灣ㄅ Bob", "محمد",
                                     "ⴰⵎⴰⵣⵉⵖ", "Sue 李", "ქეთევან", "ᏣᎳᎩ", "l·l"])
    def test_one_script_or_latin_with_those_of_chinese_japanese_or_korean_is_accepted(self, raw):
        assert parse(raw).text == raw

    @pytest.mark.parametrize("raw", ["一ǃ一 Sue", "ーǃー", "ǃ", "7ǀ7", "ǃǃǃ x"])
    def test_click_letters_stand_beside_other_latin_letters(self, raw):
        assert "which is not beside another Latin letter" in refusal(raw)

    @pytest.mark.parametrize("raw", ["ǃKung", "Nǃxau", "ǂToma"])
    def test_words_with_click_letters_are_accepted(self, raw):
        assert parse(raw).text == raw


class TestSentences:
    @pytest.mark.parametrize("raw", [
        "Sue has left", "sue HAS  left the chat.", "Sue_has_left", "Bob has joined", "You are Bob", "You_are Bob",
        "you have left", "Welcome to webchat.", "Sue took back", "Ｓｕｅ ｈａｓ ｌｅｆｔ", "Sue has Ieft",
    ])
    def test_a_name_that_reads_like_a_sentence_of_the_server_is_refused(self, raw):
        assert refusal(raw) == "That name reads like a sentence of the server."

    @pytest.mark.parametrize("raw", ["Sue left", "Younis", "Who You are", "Bob has leftovers", "Welcome"])
    def test_names_with_some_of_its_words_are_accepted(self, raw):
        assert parse(raw).text == raw

    @pytest.mark.parametrize("raw", ["NickServ", "chanserv", "Nick Serv", "Serv", "MemoＳerv"])
    def test_names_of_services_that_ask_for_passwords_are_refused(self, raw):
        assert "reserved for services" in refusal(raw)

    @pytest.mark.parametrize("char", "!@,?")
    def test_what_irc_cannot_carry_is_refused_anywhere(self, char):
        for raw in (f"1{char}a", f"a{char}b", f"a{char}"):
            assert refusal(raw).startswith(f"A name cannot contain {char} (U+")


class TestClashes:
    @pytest.mark.parametrize(("one", "other"), [
        ("Alex", "alex"), ("асе", "ace"), ("Alex", "AIex"), ("Alex", "ＡＬＥＸ"), ("modern", "modem"), ("b0b", "Bob"),
        ("Straße", "strasse"), ("ИВАН", "Иван"),
        ("ada baker", "ada_baker"), ("ada baker", "Ada＿Baker"),
    ])
    def test_names_that_differ_only_in_case_width_or_lookalikes_clash(self, one, other):
        assert parse(one).key == parse(other).key

    @pytest.mark.parametrize(("one", "other"), [("Alex", "Alexa"), ("Sue", "Sye"), ("ada 1", "ada 2"), ("é", "e")])
    def test_other_names_do_not_clash(self, one, other):
        assert parse(one).key != parse(other).key

    def test_the_key_of_a_shown_name_ignores_its_asterisk(self):
        assert key("Alex*") == key(" alex ＊") == parse("Alex").key

    def test_every_text_has_a_key_even_if_it_cannot_be_a_name(self):
        for raw in ("", "*", "a\ud800", "x" * 100_000, "a:b", "\n"):
            assert isinstance(key(raw), str)

    def test_only_the_first_256_characters_of_a_text_count_for_its_key(self):
        assert key("x" * 100_000) == key("x" * 256)


class TestForAnyText:
    @given(raw_names)
    @example("e*\u0301")
    @few_examples
    def test_parsing_a_parsed_name_changes_nothing(self, raw):
        try:
            name = parse(raw)
        except BadName:
            return
        assert parse(name.text) == name
        assert key(raw) == key(name.text) == key(name.text + "*") == name.key != ""

    @given(raw_names)
    @few_examples
    def test_a_parsed_name_contains_nothing_prohibited(self, raw):
        try:
            text = parse(raw).text
        except BadName as refused:
            assert len(str(refused)) > 20
            return
        assert 1 <= len(text) <= 32
        assert text == unicodedata.normalize("NFKC", text).strip() and "  " not in text
        assert not set(text) & set("{}|:<>*") and text[0] not in "#/+~&%$"
        assert not set(text) & set("!@,?") and (text[-1].isalnum() or not text[-1].isascii() or text[-1] in "_-.)]")
        assert not {unicodedata.category(char) for char in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

    @given(st.sampled_from(["Alex", "Sue", "Sandy", "admin"]), st.data())
    @few_examples
    def test_every_lookalike_of_an_accounts_name_has_its_key(self, account, data):
        alike = {"a": "aAаАａΑ", "l": "lL1IІ|ӏⅼ", "e": "eEеЕｅΕ", "x": "xXхХΧ", "s": "sSѕЅ", "u": "uUυս", "n": "nNΝ",
                 "d": "dDԁⅾ", "y": "yYуУγ", "m": "mMМⅿΜ", "i": "iIіІ1ӏ"}
        raw = "".join(data.draw(st.sampled_from(alike[char.lower()])) for char in account)
        assert key(raw) == parse(account).key

    @given(st.text(st.characters(max_codepoint=127), max_size=40))
    @few_examples
    def test_the_shortcut_for_ascii_agrees_with_precis(self, raw):
        nickname = precis_i18n.get_profile("NicknameCasePreserved")
        try:
            name = parse(raw)
        except BadName:
            return
        assert name.text == nickname.enforce(raw.replace("*", ""))


class TestRoomNames:
    @pytest.mark.parametrize(("raw", "shown"), [
        ("8 out of 10 cats", "8 out of 10 cats"), ("  Quite  Interesting ", "Quite Interesting"), ("x" * 64, "x" * 64),
        ("All", "All"), ("C*", "C*"),
    ])
    def test_room_names_are_normalised_like_names_but_keep_asterisks_and_reserved_words(self, raw, shown):
        assert parse_room(raw) == shown

    @pytest.mark.parametrize("raw", ["", "  ", "x" * 65, "#x", "a\nb", "a:b", "a|b", "a\u200bb"])
    def test_room_names_are_refused_for_the_same_reasons_as_names(self, raw):
        with pytest.raises(BadName):
            parse_room(raw)
