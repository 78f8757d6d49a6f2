"""The errors that refuse a request.

    ChatError                   a well-formed request is refused; the session goes on
      BadName                   bad-name
      NameTaken                 name-taken
      BadCredentials            bad-credentials
      LoginRequired             login-required
      NoSuchUser                no-such-user
      NotAMember                not-a-member
      NotInRoom                 not-in-room
      TooLong                   too-long
      Empty                     empty
      SlowDown                  slow-down
      BadMessage                bad-message
      ServerFull                server-full
      Degraded                  degraded

A client that breaks the framing of its protocol gets a `webchat.net.errors.ProtocolViolation` instead: its connection
is closed with a reason.
"""


class ChatError(Exception):
    """A request was understood and refused.

    `code` is stable, for programs; `str(error)` is a sentence for people.
    """

    code = "bad-message"
    sentence = "That request cannot be understood."

    def __init__(self, sentence: str | None = None):
        super().__init__(sentence or self.sentence)


class BadName(ChatError):
    code = "bad-name"
    sentence = "That name cannot be used."


class NameTaken(ChatError):
    code = "name-taken"
    sentence = "Somebody here already has that name."


class BadCredentials(ChatError):
    code = "bad-credentials"
    sentence = "That name belongs to an account, and the password does not match."


class LoginRequired(ChatError):
    code = "login-required"
    sentence = "Log in first."


class NoSuchUser(ChatError):
    code = "no-such-user"
    sentence = "Nobody of that name is here."


class NotAMember(ChatError):
    """Also raised for a room that does not exist, so that nobody can find out which rooms exist."""

    code = "not-a-member"
    sentence = "You are not a member of that room."


class NotInRoom(ChatError):
    code = "not-in-room"
    sentence = "Join the room first."


class TooLong(ChatError):
    code = "too-long"
    sentence = "A message has at most 4,096 characters."


class Empty(ChatError):
    code = "empty"
    sentence = "A message needs some text."


class SlowDown(ChatError):
    code = "slow-down"
    sentence = "Too many messages at once; wait a moment."


class BadMessage(ChatError):
    code = "bad-message"
    sentence = "That request cannot be understood."


class ServerFull(ChatError):
    code = "server-full"
    sentence = "The server has no room for another connection."


class Degraded(ChatError):
    code = "degraded"
    sentence = "New names cannot be given out for the moment; try again soon."
