from django.urls import path

from notes import views

urlpatterns = [
    path("notes", views.create, name="create"),
    path("notes/<int:pk>", views.show, name="note"),
    path("reading-time/", views.reading_time),
]
