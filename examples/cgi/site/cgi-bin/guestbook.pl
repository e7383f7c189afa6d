#!/usr/bin/perl
# A guestbook in the style of the nineties. GET shows the entries on a page that reloads
# itself every two seconds. POST adds an entry. An entry is a line of a file with time,
# name and text. Its number is the number of the line.
#
#   GET ?after=N   the title of the page says how many entries follow number N

use strict;
use warnings;
use Fcntl qw(:flock);
use POSIX qw(strftime);

my $book = '../../guestbook.txt';    # outside the folder that is served
my $hits = '../../hits.txt';         # the times of requests, one per line

my $method = $ENV{REQUEST_METHOD} || '';
if    ($method eq 'GET')  { show() }
elsif ($method eq 'POST') { sign() }
else                      { refuse('405 Method Not Allowed', 'Here one reads and signs.') }

sub show {
    add($hits, time);
    my @entries = entries();
    my $newest  = @entries;
    my ($after) = ($ENV{QUERY_STRING} || '') =~ /^after=(\d{1,9})$/;
    my $new     = defined $after && $after < $newest ? $newest - $after : 0;
    my $title   = $new ? "New entries: $new" : defined $after ? 'No new entries' : 'All entries';

    print "Content-Type: text/html; charset=utf-8\n\n";
    print "<html><head><title>$title</title>\n";
    print qq(<meta http-equiv="refresh" content="2; url=guestbook.pl?after=$newest">\n);
    print qq(</head><body bgcolor="#ffffee" text="#222222"><font face="Verdana, Arial, Helvetica, sans-serif">\n);
    print "<p>Nobody has signed yet.</p>\n" unless $newest;
    my $oldest = $newest > 50 ? $newest - 49 : 1;
    for my $number (reverse $oldest .. $newest) {
        my ($time, $name, $text) = map { escape($_) } split /\t/, $entries[$number - 1];
        my $mark = $number > $newest - $new ? ' <font color="#cc0000"><b>new!</b></font>' : '';
        my $date = strftime('%d %b %Y, %H:%M:%S', localtime $time);
        print "<p><b>$name</b> <font size=\"2\" color=\"#666666\">$number &middot; $date</font>$mark<br>$text</p>\n";
    }
    print "</font></body></html>\n";
}

sub sign {
    my $length = $ENV{CONTENT_LENGTH} || 0;
    return refuse('413 Payload Too Large', 'That is too long.') if $length > 8192;
    my $form = '';
    read STDIN, $form, $length;
    my %field = map { map { decode($_) } (split /=/, $_, 2)[0, 1] } split /&/, $form;
    my ($name, $text) = map { defined $field{$_} ? $field{$_} : '' } qw(name text);
    return refuse('400 Bad Request', 'Please fill in your name and a text, neither of them too long.')
        if $name eq '' || $text eq '' || length $name > 160 || length $text > 2000;    # bytes
    add($book, join "\t", time, $name, $text);
    print "Status: 303 See Other\nLocation: ../form.html\n\n";
}

# decode returns the value of a form field on one line.
sub decode {
    my ($text) = @_;
    return '' unless defined $text;
    $text =~ tr/+/ /;
    $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    $text =~ s/[\x00-\x20\x7f]+/ /g;
    $text =~ s/^ | $//g;
    return $text;
}

sub escape {
    my ($text) = @_;
    my %as = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    $text =~ s/([&<>"])/$as{$1}/g;
    return $text;
}

sub entries {
    open my $file, '<', $book or return;
    flock $file, LOCK_SH;
    chomp(my @lines = <$file>);
    return @lines;
}

# add appends a line to a file. Other processes may do so at the same time.
sub add {
    my ($path, $line) = @_;
    open my $file, '>>', $path or die "$path: $!";
    flock $file, LOCK_EX;
    print $file "$line\n";
    close $file or die "$path: $!";
}

sub refuse {
    my ($status, $why) = @_;
    print "Status: $status\nContent-Type: text/plain; charset=utf-8\n\n$why\n";
}
