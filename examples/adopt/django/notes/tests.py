from django.test import TestCase


class Notes(TestCase):
    def test_a_note_is_shown_after_it_was_made(self) -> None:
        made = self.client.post("/notes", {"title": "Trees", "text": "Some are clonal."}, follow=True)
        self.assertContains(made, "<h1>Trees</h1>")
        assert made["X-Notes"] == "3"

    def test_a_note_that_is_not_there_is_a_404(self) -> None:
        assert self.client.get("/notes/999").status_code == 404
