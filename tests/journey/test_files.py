"""A file that is chosen is looked at before it is sent."""

from tests.journey.conftest import PersonAt
from tests.servers import Gunicorn

LARGEST = 10_000_000


def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    server: Gunicorn, person_at: PersonAt
) -> None:
    server.start()
    anna = person_at(server.url, "anna")
    anna.open("/signup").fill(User_name="anna", Password=anna.password)
    anna.press("Make the account").arrives("Your entries")
    anna.open("/entries/import").arrives("Import entries")
    field = anna.page.get_by_label("File")
    content = b"key,value\nboats," + b"x" * LARGEST
    file = {"name": "large.csv", "mimeType": "text/csv", "buffer": content}
    field.set_input_files(file)  # type: ignore[arg-type]
    assert "too large" in field.evaluate("field => field.validationMessage")
    sent = []
    anna.page.on("request", lambda request: sent.append(request.method))
    anna.press("Check the file")
    assert "POST" not in sent
    field.set_input_files(file | {"buffer": b"key,value\nboats,7"})  # type: ignore[arg-type]
    anna.press("Check the file").arrives("What the import would do")
