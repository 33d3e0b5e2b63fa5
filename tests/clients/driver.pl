#!/usr/bin/perl
# Perl's client libraries through the checks of scenario.py.
#
# usage: driver.pl LIBRARY PROTOCOL HOST PORT PREFIX
#
# All three share one object interface; what they answer differs in how "no" looks (undef, '' or 0), so answers are
# reduced to true and false here.
use strict;
use warnings;
use List::Util qw(all);
use Time::HiRes qw(sleep time);

$| = 1;
my ($library, $protocol, $host, $port, $prefix) = @ARGV;
eval "require $library; 1" or die $@;

sub connected {
	return $library->new({ servers => ["$host:$port"] });
}

my ($client, $other) = (connected(), connected());
my $blob = join '', map { chr($_ % 256) } 0 .. 1023;
my $large = join('', map { chr } 1 .. 250) x 2000;

# The libraries differ in where a multiget, the counters and a second reader are.
my $get_many = $client->can('get_multi');
my $gets = $client->can('gets');
my $can_cas = $client->can('cas') && $gets;
my $can_touch = $client->can('touch');

sub key { return $prefix . $_[0] }

sub is {
	my ($seen, $expected) = @_;
	return if defined $seen ? defined $expected && $seen eq $expected : !defined $expected;
	my @shown = map { defined $_ ? substr($_, 0, 100) : 'undef' } $seen, $expected;
	die "$shown[0] instead of $shown[1]\n";
}

sub yes { die "refused\n" unless $_[0] }
sub no_ { die "accepted\n" if $_[0] }

# Runs one check, or says why the library cannot.
sub check {
	my ($name, $lack, $code) = @_;
	if ($lack) {
		print "lack $name $lack\n";
	} elsif (eval { $code->(); 1 }) {
		print "pass $name\n";
	} else {
		my $error = $@ =~ s/\s+/ /gr;
		print "fail $name $error\n";
	}
	return;
}

sub lacking {
	my ($method) = @_;
	return $client->can($method) ? undef : "has no $method";
}

my $no_cas = $can_cas ? undef : 'has no gets and cas';
my $no_touch = $can_touch ? undef : 'has no touch';

check('set_then_get', undef, sub { yes $client->set(key('blob'), $blob); is $client->get(key('blob')), $blob });
check('get_absent', undef, sub { is scalar $client->get(key('absent')), undef });
check('add_absent', undef, sub { yes $client->add(key('add'), 'one'); is $client->get(key('add')), 'one' });
check('add_present', undef, sub { no_ $client->add(key('add'), 'two'); is $client->get(key('add')), 'one' });
check('replace_present', undef, sub { yes $client->replace(key('add'), 'three'); is $client->get(key('add')), 'three' });
check('replace_absent', undef, sub { no_ $client->replace(key('absent'), 'no'); is scalar $client->get(key('absent')), undef });
check('append', lacking('append'), sub {
	$client->set(key('ends'), 'mid');
	yes $client->append(key('ends'), '>');
	is $client->get(key('ends')), 'mid>';
});
check('prepend', lacking('prepend'), sub { yes $client->prepend(key('ends'), '<'); is $client->get(key('ends')), '<mid>' });
check('append_absent', lacking('append'), sub { no_ $client->append(key('absent'), '>') });

check('cas_fresh', $no_cas, sub {
	$client->set(key('cas'), 'one');
	my ($token, $value) = @{ $client->gets(key('cas')) };
	is $value, 'one';
	yes $client->cas(key('cas'), $token, 'two');
	is $client->get(key('cas')), 'two';
});
check('cas_stale', $no_cas, sub {
	my ($token) = @{ $client->gets(key('cas')) };
	$other->set(key('cas'), 'between');
	no_ $client->cas(key('cas'), $token, 'late');
	is $client->get(key('cas')), 'between';
});

check('incr', undef, sub { $client->set(key('count'), '10'); is $client->incr(key('count'), 5), 15 });
check('decr', undef, sub { is $client->decr(key('count'), 6), 9 });
check('decr_below_zero', undef, sub { is $client->decr(key('count'), 100) + 0, 0 });
check('incr_absent', undef, sub { no_ $client->incr(key('absent'), 1) });
check('touch_present', $no_touch, sub { $client->set(key('touched'), 'x', 2); yes $client->touch(key('touched'), 100) });
check('touch_absent', $no_touch, sub { no_ $client->touch(key('absent'), 100) });

check('multiget_100', undef, sub {
	my %values = map { (key("many$_"), $_ x ($_ + 1)) } 0 .. 99;
	yes $client->set($_, $values{$_}) for keys %values;
	my $found = $client->$get_many(key('absent'), keys %values);
	is scalar(keys %$found), 100;
	is $found->{$_}, $values{$_} for keys %values;
});
check('delete_present', undef, sub {
	$client->set(key('gone'), 'x');
	yes $client->delete(key('gone'));
	is scalar $client->get(key('gone')), undef;
});
check('delete_absent', undef, sub { no_ $client->delete(key('absent')) });

check('expiry', undef, sub {
	yes $client->set(key('short'), 'x', 2);
	my $end = time + 15;
	while (defined $client->get(key('short'))) {
		die "still there\n" if time > $end;
		sleep 0.05;
	}
	is $client->get(key('touched')), 'x' if $can_touch;
});
check('large_value', undef, sub { yes $client->set(key('large'), $large); is $client->get(key('large')), $large });

# The general group is called misc; Cache::Memcached::libmemcached gives it only when nothing is asked for.
my @group = $library =~ /libmemcached/ ? () : ('misc');
check('stats', $client->can('stats') ? undef : 'has no stats', sub {
	my $host_stats = (values %{ $client->stats(@group)->{hosts} })[0]{misc};
	yes $host_stats->{curr_items} > 0 && $host_stats->{cmd_get} > 0;
});
check('flush', undef, sub {
	yes $client->flush_all;
	is scalar $client->get(key('blob')), undef;
	yes $client->set(key('blob'), 'after');
	is $client->get(key('blob')), 'after';
});
