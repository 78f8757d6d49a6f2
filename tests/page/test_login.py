"""Logging in, being refused, and leaving."""

from playwright.sync_api import expect


def test_enter_in_the_username_joins(visit, guest):
    page = visit()
    name = guest("ada")
    page.username.fill(name)
    page.username.press("Enter")
    expect(page.status).to_have_text(f"Connected as {name}")


def test_enter_in_the_password_joins_an_account_with_its_asterisk(visit):
    page = visit()
    page.username.fill("Sue")
    page.password.fill("password")
    page.password.press("Enter")
    expect(page.status).to_have_text("Connected as Sue*")


def test_after_the_login_everyone_is_open_and_its_field_has_the_focus(visit, guest):
    page = visit(guest("ada"))
    expect(page.regions).to_have_count(1)
    expect(page.message()).to_be_focused()
    expect(page.username).to_be_hidden()


def test_a_refused_login_says_why_and_keeps_what_was_typed(visit):
    page = visit()
    page.login("Sue", "wrong")
    expect(page.alert).to_contain_text("password")
    expect(page.username).to_have_value("Sue")
    expect(page.password).to_have_value("wrong")
    expect(page.password).to_be_focused()
    expect(page.regions).to_have_count(0)


def test_a_name_that_cannot_be_used_is_refused_at_its_field(visit):
    page = visit()
    page.login("every{one}")
    expect(page.alert).not_to_be_empty()
    expect(page.username).to_be_focused()


def test_an_empty_name_is_refused_with_a_reason(visit):
    page = visit()
    page.join_button.click()
    expect(page.alert).not_to_be_empty()


def test_a_name_in_use_is_refused(visit, guest):
    ada = visit(guest("ada"))
    page = visit()
    page.login(ada.name.upper())
    expect(page.alert).to_be_visible()
    expect(page.regions).to_have_count(0)


def test_a_login_after_two_refusals_gets_each_message_once(visit, guest):
    bob = visit(guest("bob"))
    page = visit()
    for _ in range(2):
        page.login("Alex", "wrong")
        expect(page.alert).to_be_visible()
    page.join("Alex")
    expect(page.alert).to_have_count(0)
    bob.say("to everyone")
    bob.say("to one", to="Alex")
    page.say("from Alex")
    page.hears("from Alex")
    page.hears("to everyone")
    page.hears("to one", bob.name)
    bob.hears("from Alex")


def test_a_server_that_cannot_be_reached_is_reported(visit, guest, own_server):
    page = visit(at=own_server)
    own_server.kill()
    page.login("ada")
    expect(page.alert).to_contain_text("cannot be reached")
    own_server.start()
    page.join(guest("ada"))


def test_a_reload_empties_the_bar_and_frees_the_name_at_once(visit, guest):
    page = visit(guest("ada"))
    page.page.reload()
    expect(page.username).to_have_value("")
    expect(page.regions).to_have_count(0)
    page.join(page.name)


def test_leaving_shows_the_login_bar_and_the_others_are_told(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    expect(bob.users.get_by_role("option", name=ada.name)).to_have_count(1)
    ada.leave()
    expect(ada.status).to_have_text("Disconnected")
    expect(ada.regions).to_have_count(0)
    expect(ada.password).to_have_value("")
    expect(bob.users.get_by_role("option", name=ada.name)).to_have_count(0)
