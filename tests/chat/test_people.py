"""People: connections here and on other nodes make a person present, and their changes are recorded as presence."""

import pytest

from tests.chat.fakes import Outlet, as_it_is
from webchat.chat import names
from webchat.chat.people import People, Person
from webchat.chat.presence import PresenceTracker
from webchat.chat.session import Session

NODE, OTHER = "0" * 16, "f" * 16


@pytest.fixture
def people():
    return People(PresenceTracker(lambda: None))


def person(name, authenticated=False):
    return Person(names.parse(name), authenticated)


def session():
    return Session(as_it_is, Outlet(), "192.0.2.1")


def test_only_an_authenticated_person_is_shown_with_an_asterisk():
    assert (person("Alex", authenticated=True).shown, person("Alex").shown) == ("Alex*", "Alex")


def test_a_person_is_present_until_their_last_connection_anywhere_has_ended(people):
    ada, here = person("ada"), session()
    people.add_session(ada, here)
    people.add_node(ada, NODE)
    people.add_node(ada, OTHER)
    people.remove_session(ada, here)
    people.remove_node(ada, NODE)
    assert people.find("ada") is ada
    people.remove_node(ada, OTHER)
    assert people.find("ada") is None and len(people) == 0


def test_people_are_listed_by_shown_name_in_the_order_of_arrival(people):
    ada, here = person("ada"), session()
    people.add_session(person("Sue", authenticated=True), session())
    people.add_session(ada, here)
    people.add_node(person("bob"), NODE)
    assert (people.shown(), len(people)) == (("Sue*", "ada", "bob"), 3)
    people.remove_session(ada, here)
    assert people.shown() == ("Sue*", "bob")


def test_the_shown_names_of_those_who_are_here_are_known(people):
    sue, ada, here = person("Sue", authenticated=True), person("ada"), session()
    people.add_session(sue, session())
    people.add_session(ada, here)
    assert people.is_shown("Sue*") and people.is_shown("ada") and not people.is_shown("Sue")
    people.rename(ada, names.parse("Ada"))
    assert people.is_shown("Ada") and not people.is_shown("ada")
    people.remove_session(ada, here)
    assert not people.is_shown("Ada")


def test_a_renamed_person_keeps_their_place_in_the_list(people):
    ada = person("ada")
    people.add_session(ada, session())
    people.add_session(person("bob"), session())
    assert people.shown() == ("ada", "bob")
    people.rename(ada, names.parse("Ada"))
    assert people.shown() == ("Ada", "bob")


def test_removing_a_connection_again_does_nothing(people):
    ada, here = person("ada"), session()
    people.add_session(ada, here)
    people.remove_session(ada, here)
    people.remove_session(ada, here)
    assert people.shown() == ()


def test_removing_a_connection_of_somebody_who_left_does_not_affect_the_next_person_with_that_name(people):
    guest, here = person("Sue"), session()
    people.add_session(guest, here)
    people.remove_session(guest, here)
    people.add_session(person("Sue", authenticated=True), session())
    people.remove_session(guest, here)
    assert people.shown() == ("Sue*",)
