from django.contrib import admin

from books.models import Book, Suggestion

admin.site.register([Book, Suggestion])
